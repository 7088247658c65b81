// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/trial"
)

func trialCommand(p *plugin) *cobra.Command {
	file := ""
	var replies, parameters []string
	command := &cobra.Command{
		Use:   "test -f FILE [--reply FILE...] [--parameter NAME=VALUE...]",
		Short: "Compile a provider's description, show its requests, read replies with it",
		Long: `Compile a provider's description, show the requests that it would send, with placeholders
where secrets go, say what in it is likely a mistake, and how it reads replies. Nothing is
sent, and no cluster is needed.

FILE holds a ClusterTokenProvider, or its spec alone. A reply is a file with the status on
its first line, headers if there are any, an empty line, and the body:

  400
  Content-Type: application/json

  {"error":"invalid_grant"}`,
		Example: "  kubectl tokencredential provider test -f provider.yaml --reply refused.txt --parameter host=id.example.com",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := tried(file, parameters, p.clock.Now())
			if err != nil {
				return err
			}
			p.printf("%s", t.Requests())
			for _, warning := range t.Warnings {
				p.printf("\n%s %s\n", screen.Doubtful.Mark(p.colours), warning)
			}
			for _, name := range replies {
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				reading, err := t.Read(text)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				p.printf("\n%s\n%s", name, reading)
			}
			return nil
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", "the description")
	command.Flags().StringArrayVar(&replies, "reply", nil, "a reply to read, as the refresh's")
	command.Flags().StringArrayVar(&parameters, "parameter", nil, "a parameter of the credential, as NAME=VALUE")
	_ = command.MarkFlagRequired("filename") // it was just made
	return command
}

// tried is the description that a file holds.
func tried(file string, parameters []string, now time.Time) (*trial.Trial, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	name, spec, err := trial.ReadSpec(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return trial.New(name, spec, parameters, now)
}
