// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/installation"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/manifest"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

func checkCommand(p *plugin) *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use:   "check [-f FILE]",
		Short: "Check the installation, or a manifest before it is applied",
		Long: `Check the installation: the API, the operator and its leader, the admission policy, flags
that say whom it may call.

With -f check a manifest before it is applied: the Secrets that it names and their keys
(those in the same file count), the provider and its parameters, the template, rendered
with a made-up token, the target, and whether you may apply it, by a dry run. Nothing is
sent to a provider, and nothing is spent.

The exit code is 2 where something must be mended.`,
		Example: `  kubectl tokencredential check
  kubectl tokencredential check -f credential.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			var found screen.Findings
			if file != "" {
				found, err = p.checkFile(command.Context(), c, file)
			} else {
				found, err = installation.Check(command.Context(), c, p.clock)
			}
			if err != nil {
				return err
			}
			p.printf("%s", found.Text(p.colours))
			if wrong := found.Wrong(); wrong > 0 {
				return unwell{fmt.Sprintf("to be mended: %d", wrong)}
			}
			return nil
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", "a manifest to check; - reads it from the input")
	return command
}

// checkFile checks all that a file holds, with the operator's own packages.
func (p *plugin) checkFile(ctx context.Context, c *cluster.Cluster, file string) (screen.Findings, error) {
	m, err := manifest.Read(c, file, p.In)
	if err != nil {
		return nil, err
	}
	if m.IsEmpty() {
		return nil, fmt.Errorf("%s holds no TokenCredential and no ClusterTokenProvider", file)
	}
	return m.Check(ctx), nil
}
