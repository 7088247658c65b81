// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var shop = types.NamespacedName{Namespace: "team", Name: "shop"}

func TestARepairThatWaitsForItsTurnIsRemembered(t *testing.T) {
	t.Parallel()
	repairs := NewRepairs(clocktesting.NewFakePassiveClock(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	if repairs.HoldBack(shop, true); repairs.IsHeldBack(shop) {
		t.Error("the first repair waits, although it is made at once")
	}
	repairs.Note(shop)
	if repairs.HoldBack(shop, true); !repairs.IsHeldBack(shop) {
		t.Error("a repair that waits is not remembered: nothing else would bring it about")
	}
	if repairs.HoldBack(shop, false); repairs.IsHeldBack(shop) {
		t.Error("a repair waits that is needed no more")
	}
	repairs.HoldBack(shop, true)
	if repairs.Note(shop); repairs.IsHeldBack(shop) {
		t.Error("a repair waits that was made")
	}
}

func TestRepairsBackOff(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(noon)
	repairs := NewRepairs(clock)
	if allowed, _, count := repairs.Pace(shop); !allowed || count != 0 {
		t.Fatal("the first is made at once")
	}
	for i, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		want := time.Duration(seconds) * time.Second
		if count := repairs.Note(shop); count != i+1 || Contended(count) != (i >= 2) {
			t.Errorf("repair %d: counted %d; from the third somebody else is at work", i+1, count)
		}
		allowed, next, _ := repairs.Pace(shop)
		if pause := next.Sub(clock.Now()); allowed || pause != want {
			t.Errorf("after repair %d: allowed %t after %s, want %s", i+1, allowed, pause, want)
		}
		clock.SetTime(next.Add(-1))
		if allowed, _, _ := repairs.Pace(shop); allowed {
			t.Errorf("after repair %d: it is not yet time", i+1)
		}
		clock.SetTime(next)
		if allowed, _, _ := repairs.Pace(shop); !allowed {
			t.Errorf("after repair %d: it is time", i+1)
		}
	}
}

func TestASeriesOfRepairsEnds(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		after  func(*Repairs, *clocktesting.FakePassiveClock)
		fresh  bool
	}{
		"in a quiet time":       {"what disturbed it is over", func(_ *Repairs, c *clocktesting.FakePassiveClock) { c.SetTime(noon.Add(quietTime)) }, true},
		"not before":            {"a contest at its slowest pace is one", func(_ *Repairs, c *clocktesting.FakePassiveClock) { c.SetTime(noon.Add(quietTime - 1)) }, false},
		"with its credential":   {"another of the name begins anew", func(r *Repairs, _ *clocktesting.FakePassiveClock) { r.Forget(shop) }, true},
		"not with another's":    {"each has its own", func(r *Repairs, _ *clocktesting.FakePassiveClock) { r.Forget(types.NamespacedName{Name: "x"}) }, false},
		"by a clock put back":   {"nothing waits for an hour that was wrong", func(_ *Repairs, c *clocktesting.FakePassiveClock) { c.SetTime(noon.Add(-time.Hour)) }, true},
		"not by another's work": {"each has its own", func(r *Repairs, _ *clocktesting.FakePassiveClock) { r.Note(types.NamespacedName{Name: "x"}) }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := clocktesting.NewFakePassiveClock(noon)
			repairs := NewRepairs(clock)
			repairs.Note(shop)
			c.after(repairs, clock)
			if _, _, count := repairs.Pace(shop); (count == 0) != c.fresh {
				t.Errorf("%s: %d repairs are remembered", c.reason, count)
			}
		})
	}
}

func TestRepairsAreBounded(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(noon)
	repairs := NewRepairs(clock)
	for i := range 10 * fewestToPrune {
		repairs.Note(types.NamespacedName{Name: strconv.Itoa(i)})
		clock.SetTime(clock.Now().Add(time.Second))
	}
	if len(repairs.series) > 2*fewestToPrune {
		t.Errorf("%d series are remembered, most of them over", len(repairs.series))
	}
}

func TestAContestNamesWhoAndWhat(t *testing.T) {
	t.Parallel()
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	cases := map[string]struct {
		reason string
		view   View
		want   string
	}{
		"one writer": {
			"its name, and the field", View{Exists: true, Contested: []Contest{{"kyverno", "metadata.labels[app]"}}},
			`"kyverno" writes metadata.labels[app]: have it leave these alone`,
		},
		"two writers": {
			"each with its fields", View{Exists: true, Contested: []Contest{{"a", "data[x]"}, {"a", "data[y]"}, {"b", "data[x]"}}},
			`"a" writes data[x], data[y]; "b" writes data[x]`,
		},
		"many fields": {
			"a message is short", View{Exists: true, Contested: []Contest{{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}}},
			`"a" writes 1, 2, 3, and more`,
		},
		"nobody that is known": {
			"admission leaves no name", View{Exists: true, Undressed: []string{"metadata.labels[app]"}},
			"something keeps changing metadata.labels[app]",
		},
		"nothing that is known": {
			"who deletes a key leaves no name", View{Exists: true},
			`something keeps changing the data of the target Secret "shop"`,
		},
		"no Secret": {
			"who deletes it leaves no name in it", View{},
			`something keeps deleting the target Secret "shop"`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ContestMessage(credential, c.view, noon)
			if !contains(got, c.want) || !contains(got, "the next repair is at 2026-11-22T12:00:00Z") {
				t.Errorf("%s: got %q, want it to contain %q", c.reason, got, c.want)
			}
		})
	}
}
