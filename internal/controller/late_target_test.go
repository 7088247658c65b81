// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
)

// TestATargetThatTheCacheShowsTooLateIsRemoved: it was written just before its credential
// was deleted, and the cache did not show it yet when what was owned was removed.
func TestATargetThatTheCacheShowsTooLateIsRemoved(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.reconcile("shop")
	w, key := newWatcher(s.Reconciler, &waker{}), types.NamespacedName{Namespace: "team", Name: "shop"}
	target, credential := &corev1.Secret{}, &v1alpha1.TokenCredential{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.cluster.Get(t.Context(), key, target))
	must(s.cluster.Get(t.Context(), key, credential))
	metadata := access.SecretMetadata()
	must(s.cluster.Get(t.Context(), key, metadata))

	must(s.cluster.Delete(t.Context(), target.DeepCopy())) // the cache does not show it
	must(s.cluster.Delete(t.Context(), credential))
	if users := w.usersOfSecret(t.Context(), metadata); len(users) > 0 {
		t.Errorf("%v are queued for a Secret whose owner may be another shard's", users)
	}
	w.remover.Gone(credential)
	_, err := s.Reconcile(t.Context(), reconcile.Request{NamespacedName: key})
	must(err)

	target.ResourceVersion = ""
	must(s.cluster.Create(t.Context(), target))
	users := w.usersOfSecret(t.Context(), metadata)
	if len(users) != 1 || users[0].NamespacedName != key {
		t.Fatalf("%v are queued, want the credential that is gone", users)
	}
	_, err = s.Reconcile(t.Context(), users[0])
	must(err)
	if err := s.cluster.Get(t.Context(), key, target); !apierrors.IsNotFound(err) {
		t.Errorf("the target of a credential that is gone stays: %v", err)
	}
}
