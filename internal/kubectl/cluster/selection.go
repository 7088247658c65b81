// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Selection says which credentials a command is about.
type Selection struct {
	// Everywhere: those of all namespaces.
	Everywhere bool
	// Selector is a label selector, as it was written.
	Selector string
	// All of the namespace, where a command wants that to be said.
	All bool
}

// Find reads the credentials that are named, or else all that the selection matches.
func (s Selection) Find(ctx context.Context, c *Cluster, names []string) ([]v1alpha1.TokenCredential, error) {
	if len(names) > 0 {
		return s.named(ctx, c, names)
	}
	options := []client.ListOption{}
	if !s.Everywhere {
		options = append(options, client.InNamespace(c.Namespace))
	}
	if s.Selector != "" {
		selector, err := labels.Parse(s.Selector)
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

// named reads those of the namespace.
func (s Selection) named(ctx context.Context, c *Cluster, names []string) ([]v1alpha1.TokenCredential, error) {
	if s.Everywhere || s.Selector != "" || s.All {
		return nil, errors.New("give names, or -A, -l or --all, not both")
	}
	var found []v1alpha1.TokenCredential
	for _, name := range names {
		credential := v1alpha1.TokenCredential{}
		if err := c.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: name}, &credential); err != nil {
			return nil, err
		}
		found = append(found, credential)
	}
	return found, nil
}
