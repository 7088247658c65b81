// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

func (p *plugin) providers() *cobra.Command {
	isOffline := false
	command := &cobra.Command{
		Use:   "providers",
		Short: "List the providers that a credential may name",
		Example: `  kubectl tokencredential providers

  # without a cluster: the built-in ones
  kubectl tokencredential providers --offline`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			specs, err := builtin.Specs()
			if err != nil {
				return err
			}
			described := &v1alpha1.ClusterTokenProviderList{}
			if !isOffline {
				if err := p.list(command.Context(), described); err != nil {
					_, _ = fmt.Fprintln(p.ErrOut, "ClusterTokenProviders are not listed:", err)
				}
			}
			p.printf("%s", providerTable(specs, described.Items))
			return nil
		},
	}
	command.Flags().BoolVar(&isOffline, "offline", false, "list the built-in ones alone, without a cluster")
	return command
}

func (p *plugin) list(ctx context.Context, into *v1alpha1.ClusterTokenProviderList) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	return c.List(ctx, into)
}

func providerTable(builtIns map[string]v1alpha1.ClusterTokenProviderSpec, described []v1alpha1.ClusterTokenProvider) string {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(columns, "NAME\tKIND\tREADY\tROTATION\tNEEDS\tDESCRIPTION")
	line := func(name, kind, ready string, spec v1alpha1.ClusterTokenProviderSpec) {
		rotation, needs := "-", "-"
		if compiled, err := compile.Provider(name, spec); err == nil {
			rotation, needs = string(compiled.Rotation.Mode), cmp.Or(strings.Join(needsOf(compiled, spec), ", "), "-")
		}
		_, _ = fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", name, kind, ready, rotation, needs, spec.Description)
	}
	for _, name := range slices.Sorted(maps.Keys(builtIns)) {
		line(name, "BuiltIn", "True", builtIns[name])
	}
	for _, each := range described {
		ready := "Unknown"
		if found := meta.FindStatusCondition(each.Status.Conditions, v1alpha1.ReadyCondition); found != nil {
			ready = string(found.Status)
		}
		line(each.Name, "ClusterTokenProvider", ready, each.Spec)
	}
	_ = columns.Flush() // a strings.Builder takes everything
	return text.String()
}

// needsOf is what a credential must bring.
func needsOf(compiled *provider.Provider, spec v1alpha1.ClusterTokenProviderSpec) []string {
	var needs []string
	if compiled.App == v1alpha1.Required {
		needs = append(needs, "app")
	}
	if compiled.RefreshToken == v1alpha1.Required {
		needs = append(needs, "refresh token")
	}
	if len(compiled.LoginKeys) > 0 {
		needs = append(needs, "login ("+strings.Join(compiled.LoginKeys, ", ")+")")
	}
	for _, parameter := range spec.Inputs.Parameters {
		if parameter.Required {
			needs = append(needs, parameter.Name)
		}
	}
	return needs
}

func (p *plugin) provider() *cobra.Command {
	command := &cobra.Command{
		Use:   "provider",
		Short: "Explain a provider, or try a description of one",
		Args:  cobra.NoArgs,
	}
	command.AddCommand(p.explain(), p.trial())
	return command
}

// specOf finds a provider by name: a ClusterTokenProvider of the cluster, if there is one,
// or a built-in one.
func (p *plugin) specOf(ctx context.Context, name string) (spec v1alpha1.ClusterTokenProviderSpec, kind v1alpha1.ProviderKind, err error) {
	specs, err := builtin.Specs()
	if err != nil {
		return spec, "", err
	}
	if spec, ok := specs[name]; ok {
		return spec, v1alpha1.BuiltInProvider, nil
	}
	list := &v1alpha1.ClusterTokenProviderList{}
	if err := p.list(ctx, list); err != nil {
		return spec, "", fmt.Errorf("no built-in provider is named %q, and the cluster's cannot be read: %w", name, err)
	}
	known := slices.Collect(maps.Keys(specs))
	for _, each := range list.Items {
		if each.Name == name {
			return each.Spec, v1alpha1.ClusterProvider, nil
		}
		known = append(known, each.Name)
	}
	meant := ""
	if near := spelling.Near(name, known, 3); len(near) > 0 {
		meant = " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return spec, "", fmt.Errorf("there is no provider %q%s: `kubectl tokencredential providers` lists them", name, meant)
}
