// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestAStatusIsRememberedUntilTheCacheShowsIt(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a cache that lags")
	cached := func(uid types.UID, version string) *v1alpha1.TokenCredential {
		return &v1alpha1.TokenCredential{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: uid, ResourceVersion: version},
			Status:     v1alpha1.TokenCredentialStatus{RefreshCount: 1},
		}
	}
	for _, each := range []struct {
		name, reason string
		err          error // of the write
		sees         *v1alpha1.TokenCredential
		count        int64
		owed         bool
	}{
		{"the cache lags", "what was written is so, whatever the cache says", nil, cached("a", "9"), 2, false},
		{"the cache shows what was written", "the cache is right again", nil, cached("a", "10"), 1, false},
		{"the cache shows something later", "someone else may have changed it since", nil, cached("a", "11"), 1, false},
		{"the write failed", "the refresh took place all the same, and is to be told", errors.New("refused"), cached("a", "11"), 2, true},
		{"another credential has the name", "what was remembered was about the one before", nil, cached("b", "9"), 1, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			var known statuses
			written := cached("a", "9")
			written.Status.RefreshCount = 2
			known.remember(written, "10", each.err)
			owed := known.overlay(each.sees)
			if got := each.sees.Status.RefreshCount; got != each.count || owed != each.owed {
				t.Errorf("overlay gives %d refreshes, owed %t; want %d, %t\nreason: %s", got, owed, each.count, each.owed, each.reason)
			}
		})
	}
}
