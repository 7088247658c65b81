// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestATargetThatNothingCanRepairIsLookedAtAgainOnlyAtAPace(t *testing.T) {
	t.Parallel()
	now := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	credential.Status.LastRefreshTime = &metav1.Time{Time: now}
	credential.Status.Target = &v1alpha1.TargetStatus{Name: "shop"}
	tests := []struct {
		reason  string
		repairs int
		want    time.Time
	}{
		{"no repair is held back, so there is nothing to wait for", 0, time.Time{}},
		{"the repair after one that was just made waits", 1, now.Add(time.Second)},
	}
	for _, test := range tests {
		r := NewReconciler(Parts{Clock: clocktesting.NewFakePassiveClock(now)})
		for range test.repairs {
			r.repairs.Note(client.ObjectKeyFromObject(credential))
		}
		got := r.publish(t.Context(), credential, &inputs.Inputs{}, goal{}, token.Token{}, false)
		if !got.again.Equal(test.want) {
			t.Errorf("publish looks again at %s, want %s: %s", got.again, test.want, test.reason)
		}
	}
}
