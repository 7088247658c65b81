// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// users are the namespaces whose credentials may use a provider. The zero value is
// every namespace.
type users struct {
	patterns []string        // one of them matches the name; none: any name does
	selector labels.Selector // matches the labels; nil: any labels do
}

// compileUsers reads spec.namespaces; nil is every namespace. Its error begins with
// the field.
func compileUsers(spec *v1alpha1.ProviderNamespaces) (users, error) {
	if spec == nil {
		return users{}, nil
	}
	if len(spec.Names) == 0 && spec.Selector == nil {
		return users{}, errors.New("spec.namespaces: write names, selector or both; leave namespaces out for every namespace")
	}
	var u users
	for i, name := range spec.Names {
		if _, err := path.Match(string(name), ""); err != nil {
			return users{}, fmt.Errorf("spec.namespaces.names[%d]: write a namespace's name such as team-a, or a pattern such as team-*", i)
		}
		u.patterns = append(u.patterns, string(name))
	}
	if spec.Selector != nil {
		selector, err := metav1.LabelSelectorAsSelector(spec.Selector)
		if err != nil {
			return users{}, fmt.Errorf("spec.namespaces.selector: %w", err)
		}
		if !selector.Empty() {
			u.selector = selector
		}
	}
	return u, nil
}

// named reports whether a namespace's name matches.
func (u users) named(namespace string) bool {
	for _, pattern := range u.patterns {
		if matches, err := path.Match(pattern, namespace); err == nil && matches {
			return true
		}
	}
	return len(u.patterns) == 0
}

// admit fails with a *problem.Problem unless a namespace is among the users of a
// ClusterTokenProvider. Where that cannot be told, it is not.
func (c *Catalog) admit(ctx context.Context, u users, namespace, name string) error {
	refused := problem.New(v1alpha1.ProviderNotFoundReason,
		"the ClusterTokenProvider %q may not be used from namespace %q: its admin names the namespaces in spec.namespaces; ask for that, or name another in spec.providerRef.name", name, namespace)
	if !u.named(namespace) {
		return refused
	}
	if u.selector == nil {
		return nil
	}
	if c.Namespaces == nil {
		return problem.New(v1alpha1.ProviderNotFoundReason,
			"the ClusterTokenProvider %q may not be used from namespace %q: its spec.namespaces.selector goes by labels, which this operator cannot read, since it watches some namespaces alone (--namespaces); ask its admin to write spec.namespaces.names", name, namespace)
	}
	known := &metav1.PartialObjectMetadata{}
	known.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := c.Namespaces.Get(ctx, client.ObjectKey{Name: namespace}, known, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err): // the cache lags behind: it comes again once the namespace is there
		return refused
	case err != nil:
		return problem.APIServer(err, fmt.Sprintf("read the labels of the namespace %q", namespace), "allow it")
	case !u.selector.Matches(labels.Set(known.Labels)):
		return refused
	}
	return nil
}
