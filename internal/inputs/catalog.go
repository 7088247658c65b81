// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

// Catalog finds providers by reference, compiled.
type Catalog struct {
	// Reader reads ClusterTokenProviders from the cache.
	Reader client.Reader
	// Namespaces reads PartialObjectMetadata of namespaces from the cache; nil where
	// the operator cannot read the labels of namespaces.
	Namespaces client.Reader

	builtIns map[string]compileOnce

	mu       sync.Mutex
	compiled map[string]compilation // by name
}

// compilation of one generation of a ClusterTokenProvider.
type compilation struct {
	uid        types.UID
	generation int64
	provider   *provider.Provider
	users      users
	err        error
}

// compileOnce gives a built-in provider, which is compiled when it is first used: there
// are dozens of them, and most operators use two.
type compileOnce func() (*provider.Provider, error)

// NewCatalog holds the built-in providers that are allowed: those named, or all of
// them for "*".
func NewCatalog(reader client.Reader, specs map[string]v1alpha1.ClusterTokenProviderSpec, allowed []string) (*Catalog, error) {
	catalog := &Catalog{
		Reader:   reader,
		builtIns: map[string]compileOnce{},
		compiled: map[string]compilation{},
	}
	if slices.Contains(allowed, "*") {
		allowed = slices.Collect(maps.Keys(specs))
	}
	for _, name := range allowed {
		spec, known := specs[name]
		if !known {
			return nil, fmt.Errorf("--builtin-providers: there is no built-in provider %q%s", name, meant(spelling.Near(name, slices.Collect(maps.Keys(specs)), mostSuggested)))
		}
		catalog.builtIns[name] = sync.OnceValues(func() (*provider.Provider, error) { return compile.Provider(name, spec) })
	}
	return catalog, nil
}

// Provider is a compiled provider, and what tells it from an earlier edition of
// itself.
type Provider struct {
	*provider.Provider
	// Key names the provider, whatever its edition.
	Key string
	// Edition names this one.
	Edition string
}

// Find returns the provider that a credential names, if the credential's namespace
// may use it. It fails with a *problem.Problem.
func (c *Catalog) Find(ctx context.Context, credential *v1alpha1.TokenCredential) (Provider, error) {
	reference := credential.Spec.ProviderRef
	kind := cmp.Or(reference.Kind, v1alpha1.BuiltInProvider)
	key := string(kind) + "/" + reference.Name
	switch kind {
	case v1alpha1.BuiltInProvider:
		if builtIn, ok := c.builtIns[reference.Name]; ok {
			return findBuiltIn(builtIn, key)
		}
		return Provider{}, c.unknownBuiltIn(ctx, credential.Namespace, reference.Name)
	case v1alpha1.ClusterProvider:
		return c.findDescribed(ctx, credential.Namespace, reference.Name, key)
	default:
		return Provider{}, problem.New(v1alpha1.InvalidParametersReason,
			"spec.providerRef.kind %q is not known to this version of the operator: write BuiltIn or ClusterTokenProvider, or upgrade the operator", kind)
	}
}

// EarliestRenewal is the percentage of a lifetime before which the provider of a credential
// refuses to renew a token; 0: it does not, or cannot be found.
func (c *Catalog) EarliestRenewal(ctx context.Context, credential *v1alpha1.TokenCredential) int {
	found, err := c.Find(ctx, credential)
	if err != nil {
		return 0
	}
	return found.EarliestRenewal
}

func findBuiltIn(builtIn compileOnce, key string) (Provider, error) {
	compiled, err := builtIn()
	if err != nil { // the tests of the built-in providers compile each
		return Provider{}, problem.New(v1alpha1.ProviderInvalidReason, "%s does not compile in this version of the operator: %s", key, problem.OneLine(err))
	}
	return Provider{Provider: compiled, Key: key, Edition: key}, nil
}

// findDescribed returns a provider that a ClusterTokenProvider describes. Whether a
// namespace may use it is judged first: how it fails is not for others to know.
func (c *Catalog) findDescribed(ctx context.Context, namespace, name, key string) (Provider, error) {
	described := &v1alpha1.ClusterTokenProvider{}
	err := c.Reader.Get(ctx, client.ObjectKey{Name: name}, described)
	if apierrors.IsNotFound(err) {
		return Provider{}, c.unknownDescribed(ctx, namespace, name)
	}
	if err != nil {
		return Provider{}, problem.Reading(err, fmt.Sprintf("the ClusterTokenProvider %q", name))
	}
	compiled := c.compile(described)
	if err := c.admit(ctx, compiled.users, namespace, name); err != nil {
		return Provider{}, err
	}
	if compiled.err != nil {
		return Provider{}, problem.New(v1alpha1.ProviderInvalidReason,
			"the ClusterTokenProvider %q does not compile; its own status says where (kubectl get clustertokenprovider %s -o wide): ask its admin to correct it", name, name)
	}
	return Provider{Provider: compiled.provider, Key: key, Edition: fmt.Sprintf("%s/%d", described.UID, described.Generation)}, nil
}

// Compile compiles each generation of a provider once. What does not compile is
// said with the field that it is in.
func (c *Catalog) Compile(described *v1alpha1.ClusterTokenProvider) (*provider.Provider, error) {
	compiled := c.compile(described)
	return compiled.provider, compiled.err
}

func (c *Catalog) compile(described *v1alpha1.ClusterTokenProvider) compilation {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.compiled[described.Name]
	if !ok || known.uid != described.UID || known.generation != described.Generation {
		known = compilation{uid: described.UID, generation: described.Generation}
		var errOfUsers error
		known.users, errOfUsers = compileUsers(described.Spec.Namespaces)
		known.provider, known.err = compile.Provider(described.Name, described.Spec)
		if errOfUsers != nil {
			known.provider, known.err = nil, errors.Join(errOfUsers, known.err)
		}
		c.compiled[described.Name] = known
	}
	return known
}

// Forget drops what was compiled of a ClusterTokenProvider that is gone.
func (c *Catalog) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.compiled, name)
}
