// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// many is a cache of ClusterTokenProviders, by name: the namespaces that may use each, none
// for all.
type many struct {
	client.Reader
	providers map[string][]v1alpha1.NamespacePattern
	err       error
}

// Get implements client.Reader.
func (m many) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "clustertokenproviders"}, key.Name)
}

// List implements client.Reader.
func (m many) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	list := into.(*v1alpha1.ClusterTokenProviderList)
	for name, users := range m.providers {
		described := v1alpha1.ClusterTokenProvider{}
		described.Name = name
		if users != nil {
			described.Spec.Namespaces = &v1alpha1.ProviderNamespaces{Names: users}
		}
		list.Items = append(list.Items, described)
	}
	return m.err
}

func TestAnUnknownProviderIsToldWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	builtIns := map[string]v1alpha1.ClusterTokenProviderSpec{}
	for _, name := range []string{"google", "github-app", "github-app-user", "microsoft", "oauth2", "xiaomi"} {
		builtIns[name] = specOf(t, shopProvider)
	}
	for i := range 70 {
		builtIns[fmt.Sprintf("filler%02d", i)] = specOf(t, shopProvider)
	}
	const toOther, toBuiltIn = "set spec.providerRef.kind to ClusterTokenProvider", "set spec.providerRef.kind to BuiltIn"
	for _, each := range []struct {
		name, reason string
		kind         v1alpha1.ProviderKind
		asked        string
		cache        many
		says, spares []string
	}{
		{"a slip", "one is nearest", "", "xaiomi", many{}, []string{`"xaiomi"`, "did you mean xiaomi?", "kubectl tokencredential providers"}, []string{"google", "filler00"}},
		{"a part of several names", "a few are named", "", "github", many{}, []string{"did you mean github-app or github-app-user?"}, []string{"google"}},
		{"nothing like it", "all that is said is where they are listed", "", "salesforce", many{}, []string{"kubectl tokencredential providers", "spec.providerRef.name"}, []string{"did you mean", "filler00"}},
		{"the name of a ClusterTokenProvider", "the kind was forgotten", "", "acme", many{providers: map[string][]v1alpha1.NamespacePattern{"acme": nil}},
			[]string{"there is a ClusterTokenProvider of that name", toOther}, nil},
		{"a slip of the name of a ClusterTokenProvider", "both are wrong", "", "acmee", many{providers: map[string][]v1alpha1.NamespacePattern{"acme": nil}},
			[]string{"did you mean the ClusterTokenProvider acme?", toOther}, nil},
		{"the name of one that others may use", "what others use is not this namespace's business", "", "acme", many{providers: map[string][]v1alpha1.NamespacePattern{"acme": {"team-b"}}},
			nil, []string{"of that name", "did you mean"}},
		{"a slip of a ClusterTokenProvider", "those that this namespace may use are named", v1alpha1.ClusterProvider, "acmee",
			many{providers: map[string][]v1alpha1.NamespacePattern{"acme": {"team-a"}, "acmes": {"team-b"}}}, []string{"did you mean acme?", "create it"}, []string{"acmes"}},
		{"the name of a built-in provider", "the kind is too much", v1alpha1.ClusterProvider, "xiaomi", many{},
			[]string{"there is a built-in provider of that name", toBuiltIn}, nil},
		{"a slip of a built-in provider", "both are wrong", v1alpha1.ClusterProvider, "xiaomy", many{}, []string{"did you mean the built-in provider xiaomi?", toBuiltIn}, nil},
		{"what there is cannot be listed", "what is known is said all the same, and the error is nobody's business", v1alpha1.ClusterProvider, "acme", many{err: errors.New(canary)},
			[]string{"create it"}, []string{canary}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			catalog, err := NewCatalog(each.cache, builtIns, []string{"*"})
			if err != nil {
				t.Fatal(err)
			}
			credential := shopUser()
			credential.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: each.kind, Name: each.asked}
			_, err = catalog.Find(t.Context(), credential)
			p := problem.Of(err)
			if p == nil || p.Reason != v1alpha1.ProviderNotFoundReason {
				t.Fatalf("the problem is %v, want %s\nreason: %s", err, v1alpha1.ProviderNotFoundReason, each.reason)
			}
			for _, part := range each.says {
				if !strings.Contains(p.Message, part) {
					t.Errorf("the message is %q, want %q in it\nreason: %s", p.Message, part, each.reason)
				}
			}
			for _, part := range each.spares {
				if strings.Contains(p.Message, part) {
					t.Errorf("the message is %q, with %q\nreason: %s", p.Message, part, each.reason)
				}
			}
		})
	}
}

func TestAnUnknownBuiltInOfTheFlagIsToldWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	_, err := NewCatalog(many{}, map[string]v1alpha1.ClusterTokenProviderSpec{"xiaomi": specOf(t, shopProvider)}, []string{"xiaomy"})
	if err == nil || !strings.Contains(err.Error(), `--builtin-providers: there is no built-in provider "xiaomy": did you mean xiaomi?`) {
		t.Errorf("%v\nreason: an admin reads it in the log of a pod that does not start", err)
	}
}
