// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

// Catalog finds providers by reference, compiled.
type Catalog struct {
	// Reader reads ClusterTokenProviders from the cache.
	Reader client.Reader

	builtIns map[string]*provider.Provider

	mu       sync.Mutex
	compiled map[types.UID]compilation
}

// compilation of one generation of a ClusterTokenProvider.
type compilation struct {
	generation int64
	provider   *provider.Provider
	err        error
}

// NewCatalog compiles the built-in providers that are allowed: those named, or
// all of them for "*".
func NewCatalog(reader client.Reader, specs map[string]v1alpha1.ClusterTokenProviderSpec, allowed []string) (*Catalog, error) {
	catalog := &Catalog{
		Reader:   reader,
		builtIns: map[string]*provider.Provider{},
		compiled: map[types.UID]compilation{},
	}
	if slices.Contains(allowed, "*") {
		allowed = slices.Collect(maps.Keys(specs))
	}
	for _, name := range allowed {
		spec, known := specs[name]
		if !known {
			return nil, fmt.Errorf("--builtin-providers: there is no built-in provider %q; there are %s", name, names(specs))
		}
		compiled, err := provider.Compile(name, spec)
		if err != nil {
			return nil, fmt.Errorf("built-in provider %s: %w", name, err)
		}
		catalog.builtIns[name] = compiled
	}
	return catalog, nil
}

// found is a provider and what tells it from an earlier edition of itself.
type found struct {
	*provider.Provider
	key     string // of the provider, whatever its edition
	version string // of this edition
}

// find returns the provider that a credential names. What stands in the way is
// a *problem.
func (c *Catalog) find(ctx context.Context, reference v1alpha1.ProviderReference) (found, error) {
	key := string(cmp.Or(reference.Kind, v1alpha1.BuiltInProvider)) + "/" + reference.Name
	if reference.Kind != v1alpha1.ClusterProvider {
		if builtIn, ok := c.builtIns[reference.Name]; ok {
			return found{Provider: builtIn, key: key, version: key}, nil
		}
		return found{}, problemf(v1alpha1.ProviderNotFoundReason,
			"there is no built-in provider %q: spec.providerRef.name may be %s, or set spec.providerRef.kind to ClusterTokenProvider",
			reference.Name, names(c.builtIns))
	}
	described := &v1alpha1.ClusterTokenProvider{}
	err := c.Reader.Get(ctx, client.ObjectKey{Name: reference.Name}, described)
	if apierrors.IsNotFound(err) {
		return found{}, problemf(v1alpha1.ProviderNotFoundReason,
			"there is no ClusterTokenProvider %q: create it, or name another in spec.providerRef.name", reference.Name)
	}
	if err != nil {
		return found{}, err
	}
	compiled, err := c.compile(described)
	if err != nil {
		return found{}, problemf(v1alpha1.ProviderInvalidReason,
			"the ClusterTokenProvider %q does not compile; its own status says where: ask its admin to correct it", reference.Name)
	}
	return found{Provider: compiled, key: key, version: fmt.Sprintf("%s/%d", described.UID, described.Generation)}, nil
}

// compile compiles each generation of a provider once.
func (c *Catalog) compile(described *v1alpha1.ClusterTokenProvider) (*provider.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.compiled[described.UID]
	if !ok || known.generation != described.Generation {
		known.generation = described.Generation
		known.provider, known.err = provider.Compile(described.Name, described.Spec)
		c.compiled[described.UID] = known
	}
	return known.provider, known.err
}

func names[V any](of map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
