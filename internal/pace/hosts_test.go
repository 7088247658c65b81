// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// door is Hosts together with who was woken.
type door struct {
	*Hosts
	woken []types.NamespacedName
}

func newDoor(workers int) *door {
	d := &door{}
	d.Hosts = NewHosts(workers, func(who types.NamespacedName) { d.woken = append(d.woken, who) })
	return d
}

func (d *door) enter(t *testing.T, host string, n int, want Verdict) {
	t.Helper()
	if got := d.Enter(host, asker(n), noon); got != want {
		t.Errorf("credential %d at %s is told %s, want %s", n, host, got, want)
	}
}

func (d *door) leave(host string, n int, answer Answer) {
	d.Leave(host, asker(n), answer, false, noon)
}

// failed has failed since the host was well.
func failed(n int) Asker {
	failed := asker(n)
	failed.FailedAt = noon
	return failed
}

// asker wants a token so many minutes after noon.
func asker(n int) Asker {
	return Asker{Who: credential(n), Deadline: noon.Add(time.Duration(n) * time.Minute)}
}

func TestASlowHostLeavesWorkersToTheOthers(t *testing.T) {
	t.Parallel()
	d := newDoor(8)
	for n := range 4 {
		d.enter(t, "slow", n, Go)
	}
	d.enter(t, "slow", 4, Busy)
	d.enter(t, "second", 5, Go)
	d.enter(t, "second", 6, Go)
	d.enter(t, "second", 7, Busy)
	d.enter(t, "third", 8, Go)
	d.enter(t, "third", 9, Busy)
	d.enter(t, "a fourth", 10, Go)
}

func TestWhoWaitsGoesByDeadline(t *testing.T) {
	t.Parallel()
	d := newDoor(2)
	d.enter(t, "host", 0, Go)
	for _, n := range []int{7, 3, 9} {
		d.enter(t, "host", n, Busy)
	}
	d.leave("host", 0, Served)
	d.enter(t, "host", 1, Busy) // the place is kept for who was woken
	d.enter(t, "host", 3, Go)
	d.leave("host", 3, Served)
	if diff := cmp.Diff([]types.NamespacedName{credential(3), credential(1)}, d.woken); diff != "" {
		t.Errorf("the earliest deadline goes first (-want +got):\n%s", diff)
	}
}

func TestWhoFailsByItselfWaitsBehindAllOthers(t *testing.T) {
	t.Parallel()
	d := newDoor(2)
	d.enter(t, "host", 0, Go)
	d.Enter("host", failed(1), noon)
	d.Enter("host", failed(2), noon)
	d.enter(t, "host", 9, Busy)
	d.leave("host", 0, Served)
	d.enter(t, "host", 9, Go)
	d.leave("host", 9, Served)
	if diff := cmp.Diff([]types.NamespacedName{credential(9), credential(1)}, d.woken); diff != "" {
		t.Errorf("one that is well waits for those that fail (-want +got):\n%s", diff)
	}
}

func TestHalfOfThePlacesAreNotForThoseWhoFail(t *testing.T) {
	t.Parallel()
	d := newDoor(8)
	for n, want := range []Verdict{Go, Go, Busy} {
		if got := d.Enter("host", failed(n), noon); got != want {
			t.Errorf("number %d of those who fail is told %s, want %s", n+1, got, want)
		}
	}
	d.enter(t, "host", 4, Go)
	d.enter(t, "host", 5, Go)
	d.enter(t, "host", 6, Busy)
	for n := range 2 {
		d.leave("host", n, Served)
	}
	if diff := cmp.Diff([]types.NamespacedName{credential(6)}, d.woken); diff != "" {
		t.Errorf("with two of four places free one that is well is woken, and one that fails is not (-want +got):\n%s", diff)
	}
}

func TestWhoFailedWithItsHostKeepsItsTurn(t *testing.T) {
	t.Parallel()
	d := newDoor(2)
	d.at("host").backAt = noon
	d.enter(t, "host", 0, Go)
	d.enter(t, "host", 9, Busy)
	victim := asker(1)
	victim.FailedAt = noon.Add(-time.Second)
	d.Enter("host", victim, noon)
	d.leave("host", 0, Served)
	if diff := cmp.Diff([]types.NamespacedName{credential(1)}, d.woken); diff != "" {
		t.Errorf("who failed while the host was down is not called by its deadline (-want +got):\n%s", diff)
	}
}

func TestWhoWasWokenAndMakesNoCallGivesItsPlaceUp(t *testing.T) {
	t.Parallel()
	d := newDoor(2)
	d.enter(t, "host", 0, Go)
	d.enter(t, "host", 1, Busy)
	d.enter(t, "host", 2, Busy)
	d.leave("host", 0, Served)
	d.Yield(credential(1), noon)
	if !d.Admitted(credential(2)) || d.Admitted(credential(1)) {
		t.Error("the next one does not get the place")
	}
}

func TestAHostThatIsDown(t *testing.T) {
	t.Parallel()
	d := newDoor(16)
	for n := range downAfter {
		d.enter(t, "host", n, Go)
		d.leave("host", n, Unavailable)
	}
	d.enter(t, "host", 6, Down)
	d.enter(t, "another", 7, Go)
	d.leave("another", 7, Served)

	probed := noon.Add(firstProbe)
	if got := d.Enter("host", asker(8), probed); got != Go {
		t.Fatalf("the host is not tried again after %s: %s", firstProbe, got)
	}
	if got := d.Enter("host", asker(9), probed); got != Down {
		t.Errorf("two calls at a time try the host: %s", got)
	}
	if len(d.woken) != 0 {
		t.Errorf("somebody was woken for a host that is down: %v", d.woken)
	}
	d.Leave("host", asker(8), Served, false, probed)
	// Of who failed last, and of who was turned away, as many as it seems to bear.
	if d.hosts["host"].limit > 4 || len(d.woken) != d.hosts["host"].limit || d.woken[0] != credential(downAfter-1) {
		t.Errorf("once it is back %v go at once, want a few, in the order of their deadlines", d.woken)
	}
}

func TestHowOftenAHostIsProbed(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name   string
		answer Answer
		probes int
		want   time.Duration
	}{
		{"soon at first, since most outages are short", Unavailable, 0, firstProbe},
		{"soon at first, whatever it may cost", Unclear, 0, firstProbe},
		{"less often with each probe", Unavailable, 2, 4 * firstProbe},
		{"still often in the end, since tokens expire meanwhile and a probe costs nothing", Unavailable, 3, longestProbe},
		{"hours later as often as ever", Unavailable, 1 << 20, longestProbe},
		{"seldom where each probe may cost a token", Unclear, 1 << 20, dearestProbe},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := probePause(each.probes, each.answer); got != each.want {
				t.Errorf("after %d probes in vain the host is left alone for %s, want %s", each.probes, got, each.want)
			}
		})
	}
}

func TestWhoWasToldWhenToComeAgainIsNotWokenEarlier(t *testing.T) {
	t.Parallel()
	d := newDoor(16)
	for n := range downAfter {
		d.enter(t, "host", n, Go)
		d.Leave("host", asker(n), Unavailable, true, noon)
	}
	later := noon.Add(time.Minute)
	if got := d.Enter("host", asker(9), later); got != Go {
		t.Fatalf("the host is not tried again: %s", got)
	}
	d.Leave("host", asker(9), Served, false, later)
	if len(d.woken) != 0 {
		t.Errorf("Retry-After does not hold: %v", d.woken)
	}
}

func TestAHostThatThrottlesGetsFewerCalls(t *testing.T) {
	t.Parallel()
	d := newDoor(16)
	for n := range 8 {
		d.enter(t, "host", n, Go)
	}
	for n := range 3 {
		d.leave("host", n, Throttled)
	}
	d.enter(t, "host", 9, Busy)
	if got := d.hosts["host"].limit; got != 2 {
		t.Errorf("after three refusals %d calls at a time are made, want 2", got)
	}
}

// TestNobodyWaitsForGood: whatever happens, once nothing is under way nobody waits
// at a host that is not down, and no place is kept.
func TestNobodyWaitsForGood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		workers := rapid.IntRange(1, 6).Draw(t, "workers")
		d := newDoor(workers)
		now, inside := noon, map[types.NamespacedName]string{}
		enter := func(host string, who types.NamespacedName) {
			failedAt := rapid.SampledFrom([]time.Time{{}, noon, now}).Draw(t, "failed at")
			if inside[who] == "" && d.Enter(host, Asker{Who: who, Deadline: now, FailedAt: failedAt}, now) == Go {
				inside[who] = host
			}
		}
		leave := func(who types.NamespacedName, answer Answer) {
			d.Leave(inside[who], Asker{Who: who, Deadline: now}, answer, false, now)
			delete(inside, who)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			who := credential(rapid.IntRange(0, 7).Draw(t, "who"))
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				enter(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "host"), who)
			case 1:
				if inside[who] != "" {
					leave(who, rapid.SampledFrom([]Answer{Served, Throttled, Unavailable, Unclear, Unasked}).Draw(t, "answer"))
				}
			default:
				d.Yield(who, now)
			}
			if total := len(inside) + len(d.admitted); total != d.underway || total > workers+2 {
				t.Fatalf("%d calls are under way or admitted, %d are counted, with %d workers", total, d.underway, workers)
			}
			now = now.Add(time.Second)
		}
		for len(inside)+len(d.admitted) > 0 {
			for who := range inside {
				leave(who, Served)
			}
			for who := range d.admitted {
				d.Yield(who, now)
			}
		}
		for name, at := range d.hosts {
			if !at.down() && at.waiting.len() > 0 {
				t.Fatalf("%d wait at %s for nothing", at.waiting.len(), name)
			}
		}
	})
}
