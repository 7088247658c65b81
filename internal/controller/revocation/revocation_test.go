// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestPausesBetweenTriesDouble, each credential's for itself, and a deletion is not held for
// longer than they last. What is sent is tried with whole reconciles, in package controller.
func TestPausesBetweenTriesDouble(t *testing.T) {
	t.Parallel()
	revoker, noon := &Revoker{}, time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	shop, other := types.NamespacedName{Namespace: "team", Name: "shop"}, types.NamespacedName{Namespace: "team", Name: "other"}
	held := time.Duration(0)
	for tries, want := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute} {
		tried := revoker.leaving.tried(shop, noon)
		if got := tried.next.Sub(noon); got != want || tried.tries != tries+1 {
			t.Errorf("after try %d the pause is %s, want %s", tried.tries, got, want)
		}
		held += want
	}
	if held > revocationTime {
		t.Errorf("%d tries last %s, longer than the %s for which a deletion is held", revocations, held, revocationTime)
	}
	if got := revoker.leaving.of(other); got != (leave{}) {
		t.Errorf("another credential is held too: %+v", got)
	}
	revoker.Forget(shop)
	if got := revoker.leaving.of(shop); got != (leave{}) {
		t.Errorf("a credential that is gone is remembered: %+v", got)
	}
}
