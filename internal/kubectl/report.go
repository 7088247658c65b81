// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"github.com/spf13/cobra"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/bundle"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
)

func reportCommand(p *plugin) *cobra.Command {
	var which cluster.Selection
	isWritten, file := false, "tokenkeeper-report.tar.gz"
	command := &cobra.Command{
		Use:   "report [NAME...]",
		Short: "Gather what a bug report needs, without a secret",
		Long: `Gather what a bug report needs: credentials, providers, the operator's Deployment and log,
events, and of Secrets their names, keys and sizes. No value of a Secret, and no value of
an environment variable, is read into it.

What it would hold is listed; --write writes it.`,
		Example: `  kubectl tokencredential report -n team-a
  kubectl tokencredential report -n team-a --write`,
		ValidArgsFunction: p.completeNames,
		RunE: func(command *cobra.Command, names []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			found, err := which.Find(command.Context(), c, names)
			if err != nil {
				return err
			}
			parts := bundle.Gather(command.Context(), c, p.clock, found)
			for _, part := range parts {
				p.printf("%8d  %s\n", len(part.Text), part.Name)
			}
			if !isWritten {
				p.printf("nothing is written yet: --write writes these to %s\n", file)
				return nil
			}
			if err := bundle.Write(file, parts, p.clock.Now()); err != nil {
				return err
			}
			p.printf("written to %s: look through it before you send it\n", file)
			return nil
		},
	}
	addSelection(command, &which)
	command.Flags().BoolVar(&isWritten, "write", false, "write the bundle")
	command.Flags().StringVar(&file, "to", file, "file to write")
	return command
}
