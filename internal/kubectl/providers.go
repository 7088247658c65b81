// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/explain"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

func providersCommand(p *plugin) *cobra.Command {
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
			p.printf("%s", explain.Table(specs, described.Items))
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

func providerCommand(p *plugin) *cobra.Command {
	command := &cobra.Command{
		Use:   "provider",
		Short: "Explain a provider, or try a description of one",
		Args:  cobra.NoArgs,
	}
	command.AddCommand(explainCommand(p), trialCommand(p))
	return command
}

func explainCommand(p *plugin) *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "Say what a provider needs and does, with manifests to fill in",
		Example: `  kubectl tokencredential provider explain xiaomi

  # the manifests alone, to fill in and apply
  kubectl tokencredential provider explain xiaomi | sed '1,/^---/d'`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			spec, kind, err := p.specOf(command.Context(), names[0])
			if err != nil {
				return err
			}
			compiled, err := compile.Provider(names[0], spec)
			if err != nil {
				return err
			}
			p.printf("%s", explain.Provider(compiled, spec, kind))
			return nil
		},
	}
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
