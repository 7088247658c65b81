// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var secretsResource = corev1.Resource("secrets")

func TestNothingIsSpentWithoutAClaim(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "conflict on the claim: no call to the provider",
			shows:   []string{"conflict on the claim"},
			promise: "who loses the race for the claim stops, and looks again",
			play: func(w *world) {
				w.start()
				w.fresh()
				calls := w.calls()
				var conflicts atomic.Int32
				w.stateWrites.intercept(func(write stateWrite) error {
					if w.calls() != calls && write.claims() {
						w.t.Error("the provider was called without a claim")
					}
					if conflicts.Load() == 3 {
						return write.through()
					}
					conflicts.Add(1)
					w.changeSecret(xiaomiState, func(s *corev1.Secret) {
						metav1.SetMetaDataLabel(&s.ObjectMeta, "theirs", strings.Repeat("x", int(conflicts.Load())))
					})
					return write.through() // at the resourceVersion of before
				})
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				if conflicts.Load() != 3 || w.calls() != calls+1 {
					w.t.Errorf("there were %d conflicts and %d calls, want 3 and 1", conflicts.Load(), w.calls()-calls)
				}
				w.keptAndFresh()
			},
		},
		{
			name:    "403, on the claim",
			shows:   []string{"403"},
			promise: "it is found before anything is spent, told, and recovers by itself",
			play: func(w *world) {
				blocked(w, func() {
					w.stateWrites.intercept(func(stateWrite) error {
						return apierrors.NewForbidden(secretsResource, xiaomiState, nil)
					})
				}, func() { w.stateWrites.intercept(nil) })
			},
		},
		{
			name:    "an admission webhook's refusal, on the claim",
			shows:   []string{"an admission webhook's refusal"},
			promise: "it is found before anything is spent, told, and recovers by itself",
			play: func(w *world) {
				blocked(w, func() {
					w.stateWrites.intercept(func(stateWrite) error {
						return apierrors.NewBadRequest(`admission webhook "policy.example" denied the request`)
					})
				}, func() { w.stateWrites.intercept(nil) })
			},
		},
		{
			name:    "quota, on the claim",
			shows:   []string{"quota"},
			promise: "the state Secret that cannot be created is found before the seed is spent",
			play: func(w *world) {
				quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "full"}}
				quota.Spec.Hard = corev1.ResourceList{"count/secrets": resource.MustParse("2")}
				must(w.t, w.Create(w.t.Context(), quota))
				quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"count/secrets": resource.MustParse("0")}}
				must(w.t, w.Status().Update(w.t.Context(), quota))
				builtInNamed(w.t, xiaomi).create(w)
				w.start()
				w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
				if calls := w.calls(); calls != 0 {
					w.t.Errorf("the provider got %d calls, want none", calls)
				}
				must(w.t, w.Delete(w.t.Context(), quota))
				w.awaitRefreshes(xiaomi, 1)
				w.keptAndFresh()
			},
		},
		{
			name:    "a Secret near 1 MiB, on the claim",
			shows:   []string{"a Secret near 1 MiB"},
			promise: "room for the successor is found before anything is spent",
			play: func(w *world) {
				blocked(w, func() {
					w.changeSecret(xiaomiState, func(s *corev1.Secret) { s.Data["theirs"] = make([]byte, 1<<20-16<<10) })
				}, func() {
					w.changeSecret(xiaomiState, func(s *corev1.Secret) { delete(s.Data, "theirs") })
				})
			},
		},
		{
			name:    "an immutable Secret, on the claim",
			shows:   []string{"an immutable Secret"},
			promise: "it is found before anything is spent; made again without that, its user's word cures it",
			play: func(w *world) {
				operator := w.start()
				w.fresh()
				calls := w.calls()
				w.changeSecret(xiaomiState, func(s *corev1.Secret) { s.Immutable = ptr.To(true) })
				w.fallDue()
				_, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
				if !strings.Contains(refreshed.Message, "immutability") || w.calls() != calls {
					w.t.Errorf("the provider got %d calls, want none; told: %s", w.calls()-calls, refreshed.Message)
				}
				operator.shutDown()
				w.makeStateAgain(func(s *corev1.Secret) { s.Immutable = nil })
				w.start()
				w.stalls(v1alpha1.RestoredFromBackupReason)
				w.secret(xiaomi+"-seed", map[string]string{"refresh_token": w.state(xiaomi, "refresh_token")})
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name:    "a terminating namespace, on the claim",
			shows:   []string{"a terminating namespace"},
			promise: "the state Secret that cannot be created is found before the seed is spent",
			play: func(w *world) {
				builtInNamed(w.t, xiaomi).create(w)
				must(w.t, w.Delete(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
				w.start()
				w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
				if calls := w.calls(); calls != 0 {
					w.t.Errorf("the provider got %d calls, want none", calls)
				}
			},
		},
		{
			name:    "a claim whose update timed out but was applied",
			promise: "the process knows that it did not send the token, so the outcome is not unknown",
			play: func(w *world) {
				w.start()
				w.fresh()
				calls := w.calls()
				var lost atomic.Bool
				w.stateWrites.intercept(func(write stateWrite) error {
					err := write.through()
					if write.claims() && err == nil && lost.CompareAndSwap(false, true) {
						return apierrors.NewTimeoutError("the reply was lost", 1)
					}
					return err
				})
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				if !lost.Load() || w.calls() != calls+1 {
					w.t.Errorf("the claim's reply was lost: %t; there were %d calls, want 1", lost.Load(), w.calls()-calls)
				}
				if w.events(xiaomi, v1alpha1.OutcomeUnknownReason) != 0 {
					w.t.Error("the outcome was told as unknown")
				}
			},
		},
	})
}

// blocked checks what comes of a state Secret that cannot be written, and again
// can.
func blocked(w *world, block, unblock func()) {
	w.t.Helper()
	w.start()
	w.fresh()
	calls := w.calls()
	block()
	w.fallDue()
	_, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
	if !strings.Contains(refreshed.Message, xiaomiState) || !strings.Contains(refreshed.Message, "the provider is not asked") {
		w.t.Errorf("the message does not say which Secret, or that nothing was spent: %s", refreshed.Message)
	}
	if w.calls() != calls || w.grant().Current != w.state(xiaomi, "refresh_token") {
		w.t.Errorf("the provider got %d calls, want none", w.calls()-calls)
	}
	w.awaitEvents(xiaomi, v1alpha1.RefreshFailedEvent, 1)
	unblock()
	w.awaitRefreshes(xiaomi, 2)
	w.keptAndFresh()
	if w.calls() != calls+1 {
		w.t.Errorf("the provider got %d calls, want 1", w.calls()-calls)
	}
}

// makeStateAgain deletes the state Secret and creates it from its data, as a
// restore does.
func (w *world) makeStateAgain(change func(*corev1.Secret)) {
	w.t.Helper()
	original := &corev1.Secret{}
	must(w.t, w.Get(w.t.Context(), w.key(xiaomiState), original))
	again := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: xiaomiState, Labels: original.Labels, Annotations: original.Annotations},
		Type:       original.Type, Data: original.Data, Immutable: original.Immutable,
	}
	if change != nil {
		change(again)
	}
	must(w.t, w.Delete(w.t.Context(), original))
	must(w.t, w.Create(w.t.Context(), again))
}
