// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// TestOnlyAClaimThatFailedIsUnsent says what this process takes for a token that was not
// sent: else an attempt that comes back with an older state would be sent again.
func TestOnlyAClaimThatFailedIsUnsent(t *testing.T) {
	t.Parallel()
	known, shop := &Attempts{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: shop.Namespace, Name: shop.Name}}
	states := &store.Store{}
	ended, claimed := states.None(credential), states.None(credential)
	ended.State = rotation.State{}.Adopt(secret.New("seed"))
	claimed.State = ended.State.Claim(rotation.Attempt{ID: "1"})
	if known.Observe(shop, claimed); known.IsUnsent(shop, "1") {
		t.Error("an attempt of which nothing is known counts as unsent")
	}
	known.Miss(shop, "2")
	if !known.IsUnsent(shop, "2") || known.IsUnsent(shop, "1") {
		t.Error("the claim that failed was not acted on, and of the other nothing is known")
	}
	known.Observe(shop, ended)
	if known.Observe(shop, claimed); known.IsUnsent(shop, "1") {
		t.Error("an attempt that ended, and comes back with an older state, counts as unsent")
	}
}

// TestWhatIsKnownOfAnAttemptEndsWithIt says step by step what this process knows.
func TestWhatIsKnownOfAnAttemptEndsWithIt(t *testing.T) {
	t.Parallel()
	type knows struct{ Unheard, Open, Silent, Unsent bool }
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: shop.Namespace, Name: shop.Name}}
	ended, claimed := (&store.Store{}).None(credential), (&store.Store{}).None(credential)
	claimed.State = claimed.State.Claim(rotation.Attempt{ID: "1"})
	miss := func(a *Attempts) { a.Miss(shop, "1") }
	see := func(record *store.Record) func(*Attempts) { return func(a *Attempts) { a.Observe(shop, record) } }
	hear := func(silent bool) func(*Attempts) { return func(a *Attempts) { a.Hear(shop, silent) } }
	for _, each := range []struct {
		name, reason string
		steps        []func(*Attempts)
		want         knows
	}{
		{"nothing", "nothing has been read", nil, knows{}},
		{"a claim that failed", "it may have been saved all the same: the state must be read", []func(*Attempts){miss}, knows{Unheard: true, Unsent: true}},
		{"a claim that failed, and is found", "it was saved, and never sent", []func(*Attempts){miss, see(claimed)}, knows{Open: true, Unsent: true}},
		{"a claim that failed, and is not found", "there is nothing to be known of", []func(*Attempts){miss, see(ended)}, knows{}},
		{"another's claim", "whether it was sent is not known", []func(*Attempts){see(claimed)}, knows{Open: true}},
		{"a courier that says nothing", "it is asked again", []func(*Attempts){see(claimed), hear(true)}, knows{Open: true, Silent: true}},
		{"a courier that speaks at last", "it need not be asked again", []func(*Attempts){see(claimed), hear(true), hear(false)}, knows{Open: true}},
		{"the end of it", "what was known was of that attempt", []func(*Attempts){miss, see(claimed), hear(true), see(ended)}, knows{}},
		{"a credential that is gone", "another of its name knows nothing of it", []func(*Attempts){miss, see(claimed), hear(true), func(a *Attempts) { a.Forget(shop) }}, knows{}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			known := &Attempts{}
			for _, step := range each.steps {
				step(known)
			}
			got := knows{known.IsUnheard(shop), known.IsOpen(shop), known.IsSilent(shop), known.IsUnsent(shop, "1")}
			if got != each.want {
				t.Errorf("it knows %+v, want %+v\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

// TestAnAttemptIsSeenSinceItsFirstSight is by this process's own clock, whatever the attempt
// says.
func TestAnAttemptIsSeenSinceItsFirstSight(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	known, shop := &Attempts{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	first, second := &rotation.Attempt{ID: "1", Started: noon.Add(-time.Hour)}, &rotation.Attempt{ID: "2"}
	for _, each := range []struct {
		attempt *rotation.Attempt
		at      time.Duration
		want    time.Duration
	}{{first, 0, 0}, {first, time.Minute, 0}, {second, time.Minute, time.Minute}, {first, time.Hour, 0}} {
		if got := known.SeenSince(shop, each.attempt, noon.Add(each.at)); !got.Equal(noon.Add(each.want)) {
			t.Errorf("at %s attempt %s is seen since %s, want %s after noon", each.at, each.attempt.ID, got, each.want)
		}
	}
}
