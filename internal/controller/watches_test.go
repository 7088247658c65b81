// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
)

// quiet is a reconciler that has nothing to read from.
func quiet() *Reconciler {
	return NewReconciler(Parts{
		Inputs:  &inputs.Gatherer{Secrets: &inputs.Secrets{}},
		Reports: &report.Lane{},
		Clock:   clocktesting.NewFakePassiveClock(noon),
	})
}

func TestCredentialEventsQueueWhatMayMatter(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(after *v1alpha1.TokenCredential)
		queued       bool
	}{
		{"a resync", "what was missed is made up for", func(*v1alpha1.TokenCredential) {}, true},
		{"a new spec", "it is what is to be done", func(after *v1alpha1.TokenCredential) { after.ResourceVersion, after.Generation = "2", 2 }, true},
		{"an annotation", "it may ask for a refresh", func(after *v1alpha1.TokenCredential) {
			after.ResourceVersion, after.Annotations = "2", map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
		}, true},
		{"a status", "it is this process that writes it", func(after *v1alpha1.TokenCredential) { after.ResourceVersion, after.Status.RefreshCount = "2", 1 }, false},
		{"a label", "it changes nothing", func(after *v1alpha1.TokenCredential) {
			after.ResourceVersion, after.Labels = "2", map[string]string{"a": "b"}
		}, false},
		{"another credential of that name", "its deletion was missed, and its generation is the first again", func(after *v1alpha1.TokenCredential) { after.ResourceVersion, after.UID = "2", "another" }, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWatcher(quiet(), &waker{})
			queued := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queued.ShutDown()
			before := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop", UID: "one", ResourceVersion: "1", Generation: 1}}
			after := before.DeepCopy()
			each.change(after)
			w.credentialEvents().Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queued)
			if got := queued.Len() == 1; got != each.queued {
				t.Errorf("it is queued: %t, want %t\nreason: %s", got, each.queued, each.reason)
			}
		})
	}
}

// TestCredentialEventsEndWhatIsRemembered changes a credential of which the lane holds
// a status, and deletes it.
func TestCredentialEventsEndWhatIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWatcher(quiet(), &waker{})
	queued := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queued.ShutDown()
	before := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop"}}
	before.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: "app"}
	events := w.credentialEvents()
	events.Create(t.Context(), event.CreateEvent{Object: before}, queued)
	key := types.NamespacedName{Namespace: "x", Name: "app"}
	if got := w.referrers.Of(key); len(got) != 1 {
		t.Errorf("%v name the app's Secret after a credential has come that does", got)
	}
	events.Delete(t.Context(), event.DeleteEvent{Object: before}, queued)
	if got := w.referrers.Of(key); len(got) > 0 {
		t.Errorf("%v still name the app's Secret after the credential has gone", got)
	}
	if queued.Len() != 1 {
		t.Error("what a deleted credential owned is removed by its reconcile: it is to be queued")
	}
}
