// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
)

func suspendCommand(p *plugin) *cobra.Command {
	return suspensionCommand(p, "suspend", true, "Stop renewing credentials", "is suspended: it is not renewed until you resume it",
		"  kubectl tokencredential suspend shop")
}

func resumeCommand(p *plugin) *cobra.Command {
	return suspensionCommand(p, "resume", false, "Renew credentials again", "is renewed again", "  kubectl tokencredential resume -l tier=web")
}

func suspensionCommand(p *plugin, verb string, suspended bool, short, done, example string) *cobra.Command {
	var which cluster.Selection
	command := &cobra.Command{
		Use:               verb + " NAME...|-l SELECTOR|--all",
		Short:             short,
		Example:           example,
		ValidArgsFunction: p.completeNames,
		RunE: func(command *cobra.Command, names []string) error {
			c, found, err := p.chosen(command.Context(), which, names)
			if err != nil {
				return err
			}
			for i := range found {
				before := found[i].DeepCopy()
				found[i].Spec.Suspend = suspended
				if err := c.Patch(command.Context(), &found[i], client.MergeFrom(before)); err != nil {
					return err
				}
				p.printf("%s/%s %s\n", found[i].Namespace, found[i].Name, done)
			}
			return nil
		},
	}
	addSelection(command, &which)
	command.Flags().BoolVar(&which.All, "all", false, "all of the namespace")
	return command
}
