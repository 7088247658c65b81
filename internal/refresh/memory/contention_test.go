// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestAContentionLastsFromItsFirstMeetingToItsEnd(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	known, shop := &Contention{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	if last := known.Last(shop); !last.IsZero() {
		t.Errorf("another's claim was last met at %s, before any was", last)
	}
	for _, after := range []time.Duration{0, 2 * time.Second, 5 * time.Second} {
		if got := known.Meet(shop, noon.Add(after)); got != after {
			t.Errorf("after %s the other's claim has been there for %s", after, got)
		}
		if last := known.Last(shop); !last.Equal(noon.Add(after)) {
			t.Errorf("after %s another's claim was last met at %s", after, last)
		}
	}
	other := types.NamespacedName{Namespace: "team", Name: "other"}
	if got := known.Meet(other, noon.Add(time.Minute)); got != 0 {
		t.Errorf("one credential waits for %s by what another has met", got)
	}
	known.End(shop)
	if got := known.Meet(shop, noon.Add(time.Hour)); got != 0 {
		t.Errorf("a new contention has lasted for %s at its beginning", got)
	}
}
