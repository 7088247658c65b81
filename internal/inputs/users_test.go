// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// labelled is a cache of namespaces: their labels by name. With an error it fails.
type labelled struct {
	client.Reader
	labels map[string]map[string]string
	err    error
}

// Get implements client.Reader.
func (l labelled) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	labels, known := l.labels[key.Name]
	switch {
	case l.err != nil:
		return l.err
	case !known:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, key.Name)
	}
	object.(*metav1.PartialObjectMetadata).Labels = labels
	return nil
}

func TestWhoMayUseAProvider(t *testing.T) {
	t.Parallel()
	paid := &metav1.LabelSelector{MatchLabels: map[string]string{"plan": "paid"}}
	free := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "plan", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	cluster := labelled{labels: map[string]map[string]string{"team-a": {"plan": "paid"}, "team-b": nil}}
	notNamed := "its admin names the namespaces in spec.namespaces"
	for _, each := range []struct {
		name, reason string
		spec         *v1alpha1.ProviderNamespaces
		namespace    string
		cache        client.Reader // nil: the operator watches some namespaces alone
		refused      string        // a part of the message; empty: it may
	}{
		{"nothing is said", "the default is every namespace", nil, "team-a", nil, ""},
		{"the name is there", "names are listed one by one", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"shop", "team-a"}}, "team-a", nil, ""},
		{"the name is not there", "who writes names leaves out the rest", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"shop"}}, "team-a", nil, notNamed},
		{"a pattern matches", "teams come and go, and are named alike", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*"}}, "team-a", nil, ""},
		{"a pattern matches a part", "a pattern is for the whole name, or not-team-a would be of the team", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*"}}, "not-team-a", nil, notNamed},
		{"a star stands for nothing", "it stands for any characters or none", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-a*"}}, "team-a", nil, ""},
		{"stars in the middle", "a star may stand anywhere, and twice", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"*-*a"}}, "team-a", nil, ""},
		{"the selector matches", "labels are the admin's to give", &v1alpha1.ProviderNamespaces{Selector: paid}, "team-a", cluster, ""},
		{"the selector does not match", "it has no such label", &v1alpha1.ProviderNamespaces{Selector: paid}, "team-b", cluster, notNamed},
		{"the name matches and the selector does not", "both narrow: who reads it as either has less than meant, and sees it", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*"}, Selector: paid}, "team-b", cluster, notNamed},
		{"the selector matches and the name does not", "the same the other way round", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"shop"}, Selector: paid}, "team-a", cluster, notNamed},
		{"both match", "that is what both are for", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*"}, Selector: paid}, "team-a", cluster, ""},
		{"an empty selector", "it matches every namespace, as everywhere in Kubernetes", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*"}, Selector: &metav1.LabelSelector{}}, "team-b", nil, ""},
		{"a namespace that the cache does not show", "a label that it lacks would match, and it may have it", &v1alpha1.ProviderNamespaces{Selector: free}, "team-c", cluster, notNamed},
		{"labels that cannot be read", "what cannot be told is refused", &v1alpha1.ProviderNamespaces{Selector: free}, "team-b", nil, "--namespaces"},
		{"a name that does not match, and labels that cannot be read", "the name says it already", &v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"shop"}, Selector: free}, "team-b", nil, notNamed},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			described := described{provider: providerOf(t, "a", 1, shopProvider)}
			described.provider.Spec.Namespaces = each.spec
			catalog, err := NewCatalog(described, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			catalog.Namespaces = each.cache
			user := shopUser()
			user.Namespace = each.namespace
			_, err = catalog.Find(t.Context(), user)
			if each.refused == "" {
				if err != nil {
					t.Errorf("refused: %v\nreason: %s", err, each.reason)
				}
				return
			}
			p := problem.Of(err)
			if p == nil || p.Reason != v1alpha1.ProviderNotFoundReason || p.Stalls() ||
				!strings.Contains(p.Message, each.refused) || !strings.Contains(p.Message, `may not be used from namespace "`+each.namespace+`"`) {
				t.Errorf("the problem is %v, want %s that says %q\nreason: %s", err, v1alpha1.ProviderNotFoundReason, each.refused, each.reason)
			}
		})
	}
}

func TestACacheThatFailsLetsNobodyUseAProvider(t *testing.T) {
	t.Parallel()
	described := described{provider: providerOf(t, "a", 1, shopProvider)}
	described.provider.Spec.Namespaces = &v1alpha1.ProviderNamespaces{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	catalog, err := NewCatalog(described, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	catalog.Namespaces = labelled{err: errors.New(canary)}
	_, err = catalog.Find(t.Context(), shopUser())
	if p := problem.Of(err); p == nil || p.Reason != v1alpha1.PersistBlockedReason || strings.Contains(p.Message, canary) {
		t.Errorf("the problem is %v, want %s without the API server's words", err, v1alpha1.PersistBlockedReason)
	}
}

// TestNamespacesThatCannotBeRead are what an older CRD may have let in.
func TestNamespacesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		spec         v1alpha1.ProviderNamespaces
		says         string
	}{
		{"nothing", "an admin who wrote the field meant to narrow", v1alpha1.ProviderNamespaces{}, "spec.namespaces: write names, selector or both"},
		{"a broken pattern", "a pattern that matches nothing would be a riddle", v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-a", "team-["}}, "spec.namespaces.names[1]: write a namespace's name"},
		{"an operator that does not exist", "the API server takes any text", v1alpha1.ProviderNamespaces{Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "plan", Operator: "Is", Values: []string{"paid"}}}}}, "spec.namespaces.selector: "},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			described := described{provider: providerOf(t, "a", 1, shopProvider)}
			described.provider.Spec.Namespaces = &each.spec
			catalog, err := NewCatalog(described, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = catalog.Compile(described.provider); err == nil || !strings.Contains(err.Error(), each.says) {
				t.Errorf("Compile = %v, want an error that says %q\nreason: %s", err, each.says, each.reason)
			}
			_, err = catalog.Find(t.Context(), shopUser())
			if p := problem.Of(err); p == nil || p.Reason != v1alpha1.ProviderInvalidReason {
				t.Errorf("a credential gets %v, want %s\nreason: %s", err, v1alpha1.ProviderInvalidReason, each.reason)
			}
		})
	}
}
