// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

// noEvents records none.
type noEvents struct{}

// Record implements report.Events.
func (noEvents) Record(context.Context, *v1alpha1.TokenCredential, status.Event) {}

// TestReadyTurnsFalseAtTheExpiryWhoeverWrites lets the token's expiry pass, while
// another process writes the status.
func TestReadyTurnsFalseAtTheExpiryWhoeverWrites(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		meanwhile    func(stored *v1alpha1.TokenCredential)
		want         metav1.ConditionStatus
	}{
		{"nobody", "it has expired", func(*v1alpha1.TokenCredential) {}, metav1.ConditionFalse},
		{"one that does not know the time yet", "it has expired all the same, and nothing else comes to say so", func(stored *v1alpha1.TokenCredential) { stored.Status.ObservedInputs = "other" }, metav1.ConditionFalse},
		{"one that has refreshed the token", "theirs is fresh", func(stored *v1alpha1.TokenCredential) {
			stored.Status.ExpirationTime = &metav1.Time{Time: noon.Add(time.Hour)}
		}, metav1.ConditionTrue},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop", UID: "one", Generation: 1}}
			credential.Status.ObservedGeneration = 1
			credential.Status.LastRefreshTime, credential.Status.ExpirationTime = &metav1.Time{Time: noon.Add(-time.Hour)}, &metav1.Time{Time: noon}
			credential.Status.Target = &v1alpha1.TargetStatus{Name: "shop", ResourceVersion: "1"}
			credential.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.TokenValidReason, LastTransitionTime: metav1.Time{Time: noon.Add(-time.Hour)}}}
			server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(credential).WithStatusSubresource(credential).Build()
			key := client.ObjectKeyFromObject(credential)
			get := func() *v1alpha1.TokenCredential {
				stored := &v1alpha1.TokenCredential{}
				if err := server.Get(t.Context(), key, stored); err != nil {
					t.Fatal(err)
				}
				return stored
			}
			r := quiet()
			r.Reports.Client, r.Reports.Live, r.Reports.Events = server, server, noEvents{}
			cached, stored := get(), get()
			r.rest(cached, r.Reports.Current(cached), time.Time{})
			each.meanwhile(stored)
			if err := server.Status().Update(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			if err := r.Reports.Write(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if got := meta.FindStatusCondition(get().Status.Conditions, v1alpha1.ReadyCondition); got.Status != each.want {
				t.Errorf("Ready is %s (%s), want %s\nreason: %s", got.Status, got.Message, each.want, each.reason)
			}
		})
	}
}

func TestWakeTimeIsTheNextThatMatters(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: noon.Add(d)} }
	for _, each := range []struct {
		name, reason string
		known        v1alpha1.TokenCredentialStatus
		want         time.Time
	}{
		{"nothing is planned", "a change wakes it", v1alpha1.TokenCredentialStatus{}, time.Time{}},
		{"a failed renewal is tried again", "at the time that the backoff says", v1alpha1.TokenCredentialStatus{FailedAttempts: 1, NextRefreshTime: at(time.Minute), ExpirationTime: at(time.Hour)}, noon.Add(time.Minute)},
		{"the token expires first", "Ready turns False then", v1alpha1.TokenCredentialStatus{FailedAttempts: 1, NextRefreshTime: at(time.Hour), ExpirationTime: at(time.Minute)}, noon.Add(time.Minute)},
		{"a person must act", "Ready turns False at the expiry all the same", v1alpha1.TokenCredentialStatus{ExpirationTime: at(time.Minute)}, noon.Add(time.Minute)},
		{"a person must act, and the token has expired", "there is nothing to wait for", v1alpha1.TokenCredentialStatus{ExpirationTime: at(-time.Minute)}, time.Time{}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := wakeTime(&v1alpha1.TokenCredential{Status: each.known}, noon); !got.Equal(each.want) {
				t.Errorf("it wakes at %s, want %s\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

// TestARetryOfTheAPIServerBacksOff has the API server refuse, or not serve, again and
// again.
func TestARetryOfTheAPIServerBacksOff(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		transient    bool
		want         time.Duration // after ten times
	}{
		{"refused", "a person must do something: it is asked ever more seldom", false, firstRetry << 9},
		{"not served", "an outage is over for all at once", true, longestTransient},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			credential := s.get("shop")
			blocked := problem.New(v1alpha1.PersistBlockedReason, "refused")
			blocked.Transient = each.transient
			var last time.Duration
			for i := range 10 {
				last = s.conclude(t.Context(), credential, credential, outcome{report: status.Report{Renewal: blocked}}).RequeueAfter
				if i == 0 && last != firstRetry {
					t.Errorf("the first retry is in %s, want %s", last, firstRetry)
				}
			}
			if last != each.want {
				t.Errorf("the tenth retry is in %s, want %s\nreason: %s", last, each.want, each.reason)
			}
			s.conclude(t.Context(), credential, credential, outcome{})
			if again := s.conclude(t.Context(), credential, credential, outcome{report: status.Report{Renewal: blocked}}).RequeueAfter; again != firstRetry {
				t.Errorf("after a reconcile that was well the next retry is in %s", again)
			}
			paused := outcome{report: status.Report{Paused: true}, again: noon.Add(3 * time.Second)}
			if again := s.conclude(t.Context(), credential, credential, paused).RequeueAfter; again != 3*time.Second {
				t.Errorf("a pause ends in %s, want in 3 s", again)
			}
		})
	}
}
