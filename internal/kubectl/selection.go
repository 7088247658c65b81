// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// selection says which credentials a command is about.
type selection struct {
	everywhere bool
	selector   string
	all        bool
}

func (s *selection) addFlags(command *cobra.Command) {
	command.Flags().BoolVarP(&s.everywhere, "all-namespaces", "A", false, "those of all namespaces")
	command.Flags().StringVarP(&s.selector, "selector", "l", "", "those that this label selector matches")
}

// find reads the credentials that are named, or else all that the selection matches.
func (s *selection) find(ctx context.Context, c *cluster, names []string) ([]v1alpha1.TokenCredential, error) {
	if len(names) > 0 {
		return s.named(ctx, c, names)
	}
	options := []client.ListOption{}
	if !s.everywhere {
		options = append(options, client.InNamespace(c.namespace))
	}
	if s.selector != "" {
		selector, err := labels.Parse(s.selector)
		if err != nil {
			return nil, fmt.Errorf("--selector: %w", err)
		}
		options = append(options, client.MatchingLabelsSelector{Selector: selector})
	}
	list := &v1alpha1.TokenCredentialList{}
	if err := c.List(ctx, list, options...); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// chosen reads the credentials that a command is to change: those must be named in some way.
func (s *selection) chosen(ctx context.Context, p *plugin, names []string) (*cluster, []v1alpha1.TokenCredential, error) {
	if len(names) == 0 && s.selector == "" && !s.all {
		return nil, nil, errors.New("which credentials? Give names, -l SELECTOR, or --all")
	}
	c, err := p.connect()
	if err != nil {
		return nil, nil, err
	}
	found, err := s.find(ctx, c, names)
	return c, found, err
}

func (s *selection) named(ctx context.Context, c *cluster, names []string) ([]v1alpha1.TokenCredential, error) {
	if s.everywhere || s.selector != "" || s.all {
		return nil, errors.New("give names, or -A, -l or --all, not both")
	}
	var found []v1alpha1.TokenCredential
	for _, name := range names {
		credential := v1alpha1.TokenCredential{}
		if err := c.Get(ctx, types.NamespacedName{Namespace: c.namespace, Name: name}, &credential); err != nil {
			return nil, err
		}
		found = append(found, credential)
	}
	return found, nil
}

// completeNames completes the names of credentials.
func (p *plugin) completeNames(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found, err := (&selection{}).find(command.Context(), c, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, credential := range found {
		names = append(names, credential.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
