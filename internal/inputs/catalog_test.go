// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// described is a cache that holds one ClusterTokenProvider at most.
type described struct {
	client.Reader
	provider *v1alpha1.ClusterTokenProvider
	err      error
}

// Get implements client.Reader.
func (d described) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch {
	case d.err != nil:
		return d.err
	case d.provider == nil || d.provider.Name != key.Name:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "clustertokenproviders"}, key.Name)
	}
	d.provider.DeepCopyInto(object.(*v1alpha1.ClusterTokenProvider))
	return nil
}

// List implements client.Reader: it holds nothing to suggest.
func (d described) List(context.Context, client.ObjectList, ...client.ListOption) error { return d.err }

func providerOf(t testing.TB, uid types.UID, generation int64, spec string) *v1alpha1.ClusterTokenProvider {
	t.Helper()
	provider := &v1alpha1.ClusterTokenProvider{Spec: specOf(t, spec)}
	provider.Name, provider.UID, provider.Generation = "shop", uid, generation
	return provider
}

// shopUser is a credential in team-a that names the ClusterTokenProvider shop.
func shopUser() *v1alpha1.TokenCredential {
	user := &v1alpha1.TokenCredential{}
	user.Namespace = "team-a"
	user.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: "shop"}
	return user
}

func TestFindSaysWhyThereIsNoProvider(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		cache        described
		want         string // the reason of the API; empty: it is found
		says         string
	}{
		{"it is there", "a provider may be called as a built-in is", described{provider: providerOf(t, "a", 1, shopProvider)}, "", ""},
		{"it is not there", "a person creates it", described{}, v1alpha1.ProviderNotFoundReason, "create it"},
		{"it does not compile", "its own status says where; the credential's user cannot mend it", described{provider: providerOf(t, "a", 1, `{}`)},
			v1alpha1.ProviderInvalidReason, "kubectl get clustertokenprovider shop"},
		{"the cache fails", "it is tried again", described{err: errors.New(canary)}, v1alpha1.PersistBlockedReason, "could not be reached"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			catalog, err := NewCatalog(each.cache, nil, []string{"*"})
			if err != nil {
				t.Fatal(err)
			}
			found, err := catalog.Find(t.Context(), shopUser())
			if each.want == "" {
				if err != nil || found.Provider == nil || found.Key != "ClusterTokenProvider/shop" {
					t.Errorf("found %+v, %v\nreason: %s", found, err, each.reason)
				}
				return
			}
			p := problem.Of(err)
			if p == nil || p.Reason != each.want || !strings.Contains(p.Message, each.says) || strings.Contains(p.Message, canary) {
				t.Errorf("the problem is %v, want %s that says %q\nreason: %s", err, each.want, each.says, each.reason)
			}
		})
	}
}

// TestCompileIsDoneOncePerEdition compares with what was compiled first.
func TestCompileIsDoneOncePerEdition(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		next         *v1alpha1.ClusterTokenProvider
		forget       bool
		same         bool
	}{
		{"nothing has changed", "compiling takes milliseconds, and thousands ask", providerOf(t, "a", 1, shopProvider), false, true},
		{"its spec has changed", "the generation tells", providerOf(t, "a", 2, shopProvider), false, false},
		{"it was deleted and made again", "the generation starts over, and the UID tells", providerOf(t, "b", 1, shopProvider), false, false},
		{"it was forgotten", "nothing is kept of a provider that is gone", providerOf(t, "a", 1, shopProvider), true, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			catalog, err := NewCatalog(described{}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			first, err := catalog.Compile(providerOf(t, "a", 1, shopProvider))
			if err != nil {
				t.Fatal(err)
			}
			if each.forget {
				catalog.Forget("shop")
				if len(catalog.compiled) > 0 {
					t.Error("something is kept")
				}
			}
			second, err := catalog.Compile(each.next)
			if err != nil {
				t.Fatal(err)
			}
			if same := first == second; same != each.same {
				t.Errorf("the compiled provider is the same: %t, want %t\nreason: %s", same, each.same, each.reason)
			}
			if len(catalog.compiled) != 1 {
				t.Errorf("%d editions are kept", len(catalog.compiled))
			}
		})
	}
}

// TestABuiltInIsCompiledWhenItIsFirstUsed tells so by one that does not compile.
func TestABuiltInIsCompiledWhenItIsFirstUsed(t *testing.T) {
	t.Parallel()
	catalog, err := NewCatalog(described{}, map[string]v1alpha1.ClusterTokenProviderSpec{"bare": specOf(t, bareProvider), "shop": specOf(t, `{}`)}, []string{"*"})
	if err != nil {
		t.Fatalf("the start compiles what nobody has used yet: %v", err)
	}
	user := shopUser()
	user.Spec.ProviderRef = v1alpha1.ProviderReference{Name: "shop"}
	_, err = catalog.Find(t.Context(), user)
	var found *problem.Problem
	if !errors.As(err, &found) || found.Reason != v1alpha1.ProviderInvalidReason {
		t.Errorf("what does not compile gives %v, want %s", err, v1alpha1.ProviderInvalidReason)
	}
	user.Spec.ProviderRef.Name = "bare"
	first, err := catalog.Find(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := catalog.Find(t.Context(), user); second.Provider != first.Provider {
		t.Error("it was compiled twice")
	}
}

func TestBuiltInsAreThoseThatAreAllowed(t *testing.T) {
	t.Parallel()
	specs := map[string]v1alpha1.ClusterTokenProviderSpec{"shop": specOf(t, shopProvider), "bare": specOf(t, bareProvider)}
	for _, each := range []struct {
		name, reason string
		allowed      []string
		finds        bool
		fails        string
	}{
		{"all", "the default", []string{"*"}, true, ""},
		{"this one", "an admin names what may be used", []string{"shop"}, true, ""},
		{"another one", "what is not named may not be used", []string{"bare"}, false, ""},
		{"none", "an admin may want described providers alone", nil, false, ""},
		{"one that does not exist", "the flag's typing error ends the start, and says what was meant", []string{"shpo"}, false, `no built-in provider "shpo": did you mean shop?`},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			catalog, err := NewCatalog(described{}, specs, each.allowed)
			if each.fails != "" {
				if err == nil || !strings.Contains(err.Error(), each.fails) {
					t.Errorf("the error is %v, want one that says %s\nreason: %s", err, each.fails, each.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			user := shopUser()
			user.Spec.ProviderRef.Kind = v1alpha1.BuiltInProvider
			_, err = catalog.Find(t.Context(), user)
			if (err == nil) != each.finds {
				t.Errorf("found: %v, want %t\nreason: %s", err, each.finds, each.reason)
			}
		})
	}
}
