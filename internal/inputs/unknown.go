// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

const (
	// mostSuggested is how many names are suggested.
	mostSuggested = 3
	// mostListed is how many names are few enough to be listed whole.
	mostListed = 6
)

// howToList says where all providers are listed.
const howToList = "`kubectl tokencredential providers` lists all"

// kindOfProvider is what is said of a kind where it has no provider of a name.
type kindOfProvider struct {
	kind v1alpha1.ProviderKind
	// called is what people call one of the kind.
	called string
	// next is what can be done, and otherwise what else where the name of another was meant.
	next, otherwise string
}

var (
	builtInKind = kindOfProvider{v1alpha1.BuiltInProvider, "built-in provider", "correct spec.providerRef.name, or set spec.providerRef.kind to ClusterTokenProvider",
		"set spec.providerRef.kind to ClusterTokenProvider"}
	describedKind = kindOfProvider{v1alpha1.ClusterProvider, "ClusterTokenProvider", "create it, or name another in spec.providerRef.name", "create it"}
)

// unknownBuiltIn says that no built-in provider has a name, and what may have been meant.
func (c *Catalog) unknownBuiltIn(ctx context.Context, namespace, name string) error {
	return unknown(name, builtInKind, c.namesOfBuiltIns(), describedKind, c.usable(ctx, namespace))
}

// unknownDescribed says that no ClusterTokenProvider has a name, and what may have been
// meant.
func (c *Catalog) unknownDescribed(ctx context.Context, namespace, name string) error {
	return unknown(name, describedKind, c.usable(ctx, namespace), builtInKind, c.namesOfBuiltIns())
}

// unknown says that a name is none of those known of its kind, and which was meant: one of
// these, or else one of the other kind's.
func unknown(name string, is kindOfProvider, known []string, other kindOfProvider, others []string) error {
	said, then := fmt.Sprintf("there is no %s %q", is.called, name), ": "+is.next
	switch near := spelling.Near(name, known, mostSuggested); {
	case slices.Contains(others, name):
		said, then = said+fmt.Sprintf(", but there is a %s of that name: set spec.providerRef.kind to %s", other.called, other.kind), "; else "+is.next
	case len(near) > 0:
		said, then = said+meant(near), " Then write that in spec.providerRef.name; else "+is.otherwise
	default:
		if near = spelling.Near(name, others, mostSuggested); len(near) > 0 {
			said, then = said+fmt.Sprintf(": did you mean the %s %s? Then set spec.providerRef.kind to %s, too", other.called, oneOf(near), other.kind), "; else "+is.next
		}
	}
	return problem.New(v1alpha1.ProviderNotFoundReason, "%s%s (%s)", said, then, listOf(known)+howToList)
}

func (c *Catalog) namesOfBuiltIns() []string { return slices.Collect(maps.Keys(c.builtIns)) }

// usable gives the names of the ClusterTokenProviders that a namespace may use: what others
// may is not its business. Where they cannot be listed there is none to suggest.
func (c *Catalog) usable(ctx context.Context, namespace string) []string {
	all := &v1alpha1.ClusterTokenProviderList{}
	if err := c.Reader.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var names []string
	for i := range all.Items {
		described := &all.Items[i]
		users, err := compileUsers(described.Spec.Namespaces)
		if err == nil && c.admit(ctx, users, namespace, described.Name) == nil {
			names = append(names, described.Name)
		}
	}
	return names
}

// meant asks which of a few names was; "" of none.
func meant(near []string) string {
	if len(near) == 0 {
		return ""
	}
	return ": did you mean " + oneOf(near) + "?"
}

// listOf says which names there are, where they are few.
func listOf(known []string) string {
	if len(known) == 0 || len(known) > mostListed {
		return ""
	}
	return "there are " + strings.Join(slices.Sorted(slices.Values(known)), ", ") + "; "
}

// oneOf writes names of which one is meant.
func oneOf(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
