// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

func getCommand(p *plugin) *cobra.Command {
	var which cluster.Selection
	output := ""
	command := &cobra.Command{
		Use:   "get [NAME...]",
		Short: "List credentials, those that need a person first",
		Long: `List credentials, those that need a person first: a stalled one is marked, also while
its old token still works.`,
		Example: `  # those of the current namespace
  kubectl tokencredential get

  # those of all namespaces, with what the operator says of each
  kubectl tokencredential get -A -o wide`,
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
			if output != "" && output != "wide" {
				return p.printObjects(found, output)
			}
			if len(found) == 0 {
				_, _ = fmt.Fprintln(p.ErrOut, "no TokenCredentials found")
				return nil
			}
			p.printf("%s", table(found, which.Everywhere, output == "wide", p.clock.Now(), p.colours))
			return nil
		},
	}
	addSelection(command, &which)
	command.Flags().StringVarP(&output, "output", "o", "", "wide, json, yaml or name")
	return command
}

// printObjects prints credentials as kubectl prints objects.
func (p *plugin) printObjects(found []v1alpha1.TokenCredential, output string) error {
	flags := genericclioptions.NewPrintFlags("")
	flags.OutputFormat = &output
	printer, err := flags.ToPrinter()
	if err != nil {
		return err
	}
	kind := v1alpha1.GroupVersion.WithKind("TokenCredential")
	if output == "name" || len(found) == 1 {
		for i := range found {
			found[i].SetGroupVersionKind(kind)
			if err := printer.PrintObj(&found[i], p.Out); err != nil {
				return err
			}
		}
		return nil
	}
	list := &v1alpha1.TokenCredentialList{Items: found}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind("TokenCredentialList"))
	return printer.PrintObj(list, p.Out)
}

// table lists credentials, the stalled first, then those that are not ready.
func table(found []v1alpha1.TokenCredential, everywhere, wide bool, now time.Time, colours bool) string {
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b v1alpha1.TokenCredential) int {
		return cmp.Or(cmp.Compare(screen.StateOf(&b), screen.StateOf(&a)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	header := "NAME\tSTATE\tREASON\tPROVIDER\tTARGET\tEXPIRES IN\tNEXT REFRESH\tAGE"
	if everywhere {
		header = "NAMESPACE\t" + header
	}
	if wide {
		header += "\tMESSAGE"
	}
	_, _ = fmt.Fprintln(columns, header)
	for i := range found {
		_, _ = fmt.Fprintln(columns, strings.Join(row(&found[i], everywhere, wide, now), "\t"))
	}
	_ = columns.Flush() // a strings.Builder takes everything
	return paint(text.String(), found, colours)
}

func row(credential *v1alpha1.TokenCredential, everywhere, wide bool, now time.Time) []string {
	var cells []string
	if everywhere {
		cells = append(cells, credential.Namespace)
	}
	about := screen.Telling(credential)
	cells = append(cells, credential.Name, screen.StateOf(credential).String(), about.Reason, credential.Spec.ProviderRef.Name, credential.TargetName(),
		until(credential.Status.ExpirationTime, now), until(credential.Status.NextRefreshTime, now), duration.HumanDuration(now.Sub(credential.CreationTimestamp.Time)))
	if wide {
		cells = append(cells, about.Message)
	}
	return cells
}

// until is how long it is until a moment, as people write it.
func until(moment *metav1.Time, now time.Time) string {
	switch {
	case moment == nil:
		return "-"
	case moment.Time.Before(now):
		return duration.HumanDuration(now.Sub(moment.Time)) + " ago"
	}
	return duration.HumanDuration(moment.Sub(now))
}

// paint colours the lines of credentials that are not well. Columns are aligned before,
// since colours have no width.
func paint(text string, found []v1alpha1.TokenCredential, colours bool) string {
	if !colours {
		return text
	}
	lines := strings.Split(text, "\n")
	for i := range found {
		lines[i+1] = screen.Colour(lines[i+1], screen.StateOf(&found[i]))
	}
	return strings.Join(lines, "\n")
}

// condition of a credential; zero where there is none.
func condition(credential *v1alpha1.TokenCredential, kind string) metav1.Condition {
	if found := meta.FindStatusCondition(credential.Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}
