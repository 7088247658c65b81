// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// provide creates or replaces the ClusterTokenProvider that belongs to a world.
func (w *world) provide(spec v1alpha1.ClusterTokenProviderSpec) {
	w.t.Helper()
	described := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: w.cluster()}}
	_, err := ctrl.CreateOrUpdate(w.t.Context(), w, described, func() error {
		described.Spec = spec
		return nil
	})
	must(w.t, err)
}

// unprovide deletes it, if it is there.
func (w *world) unprovide() {
	w.t.Helper()
	described := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: w.cluster()}}
	must(w.t, client.IgnoreNotFound(w.Delete(w.t.Context(), described)))
}

// awaitProvider waits until the provider's own Ready has a status and a reason
// for its latest spec, and checks what its message says.
func (w *world) awaitProvider(status metav1.ConditionStatus, reason string, says ...string) {
	w.t.Helper()
	described := &v1alpha1.ClusterTokenProvider{}
	var ready *metav1.Condition
	if !w.eventually(func() bool {
		must(w.t, w.Get(w.t.Context(), client.ObjectKey{Name: w.cluster()}, described))
		ready = meta.FindStatusCondition(described.Status.Conditions, v1alpha1.ReadyCondition)
		return ready != nil && ready.Status == status && ready.Reason == reason && ready.ObservedGeneration == described.Generation
	}) {
		w.t.Fatalf("the provider's Ready never was %s with the reason %s: %+v", status, reason, ready)
	}
	for _, part := range says {
		if !strings.Contains(ready.Message, part) {
			w.t.Errorf("the provider's message does not say %q: %s", part, ready.Message)
		}
	}
}
