// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// traffic drives Hosts at random, as a controller may.
type traffic struct {
	*rapid.T
	*Hosts
	now    time.Time
	calls  map[types.NamespacedName]string // in flight, to which host
	wakeUp map[types.NamespacedName]int
}

func newTraffic(t *rapid.T) *traffic {
	world := &traffic{T: t, now: noon, calls: map[types.NamespacedName]string{}, wakeUp: map[types.NamespacedName]int{}}
	world.Hosts = NewHosts(rapid.IntRange(1, 12).Draw(t, "workers"), func(who types.NamespacedName) { world.wakeUp[who]++ })
	return world
}

func (w *traffic) waiter() Waiter {
	waiter := renewal(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.T, "namespace"), rapid.IntRange(0, 4).Draw(w.T, "who"), 0)
	waiter.Class = rapid.SampledFrom([]Class{Renewal, New, Failing}).Draw(w.T, "class")
	waiter.FailedAt = rapid.SampledFrom([]time.Time{{}, noon, w.now}).Draw(w.T, "failed at")
	return waiter
}

func (w *traffic) step() {
	waiter := w.waiter()
	calls, inCall := w.calls[waiter.Who]
	host := rapid.SampledFrom([]string{"x", "X:443", "y"}).Draw(w.T, "host")
	switch action := rapid.IntRange(0, 9).Draw(w.T, "action"); {
	case inCall && action < 8:
		answers := []Answer{Served, Throttled, Unreachable, Unavailable, Unclear, Unasked}
		w.Leave(calls, waiter, rapid.SampledFrom(answers).Draw(w.T, "answer"), action == 0, w.now)
		delete(w.calls, waiter.Who)
	case inCall:
	case action < 5:
		if w.Enter(host, waiter, w.now) == Go {
			w.calls[waiter.Who] = CanonicalHost(host)
		}
	case action == 5:
		w.Full(host, waiter, w.now)
	case action == 6:
		w.Forget(waiter.Who, w.now)
	default:
		w.Yield(waiter.Who, w.now)
	}
	w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(w.T, "pause")))
}

// check compares what Hosts counts with what is in flight and admitted.
func (w *traffic) check() {
	slots, total := map[[2]string]int{}, 0
	for who, host := range w.calls {
		slots[[2]string{host, who.Namespace}]++
		total++
	}
	for who, kept := range w.admitted.who {
		if !kept.lapsed {
			slots[[2]string{kept.host, who.Namespace}]++
			total++
		}
	}
	if counted := w.slots.quick.inFlight + w.slots.slow.inFlight; counted != total || len(w.slots.calls.held) != total {
		w.Fatalf("%d slots are counted and %d remembered, %d are held", counted, len(w.slots.calls.held), total)
	}
	if w.slots.quick.inFlight > w.slots.workers || total > Parallel(w.slots.workers) {
		w.Fatalf("%d quick calls and %d in all with %d workers", w.slots.quick.inFlight, total, w.slots.workers)
	}
	for name, at := range w.hosts {
		counted := 0
		for namespace, t := range at.tenants {
			counted += t.inFlight
			if t.inFlight != slots[[2]string{name, namespace}] {
				w.Fatalf("%d slots of %s at %s are counted, %d are held", t.inFlight, namespace, name, slots[[2]string{name, namespace}])
			}
		}
		if at.inFlight != counted || at.limit < 1 || at.waiting.Len() > 0 != w.waiting.hosts[at] {
			w.Fatalf("%s: %d slots counted, its tenants hold %d; limit %d; %d wait", name, at.inFlight, counted, at.limit, at.waiting.Len())
		}
	}
	held := 0
	for _, in := range []*pool{&w.slots.quick, &w.slots.slow} {
		for namespace, n := range in.namespaces {
			if held += n; n < 1 {
				w.Fatalf("%s holds %d slots", namespace, n)
			}
		}
	}
	if held != total {
		w.Fatalf("namespaces hold %d slots, want %d", held, total)
	}
	w.checkNobodyWaitsInVain()
}

// checkNobodyWaitsInVain: a slot that somebody may have is not left free.
func (w *traffic) checkNobodyWaitsInVain() {
	waiting := 0
	for at := range w.waiting.hosts {
		waiting += at.waiting.Len()
		for who, waiter := range at.waiting.waiters {
			if w.waiting.who[who] != at {
				w.Fatalf("%s waits for two hosts", who)
			}
			if !at.down(who.Namespace) && w.slots.room(at, who.Namespace, waiter.Class, w.now) {
				w.Fatalf("%s waits for %s, where there is room", who, at.name)
			}
		}
	}
	if waiting != len(w.waiting.who) {
		w.Fatalf("%d wait, %d are known to", waiting, len(w.waiting.who))
	}
}

func TestHostsKeepsItsInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newTraffic(t)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.step()
			w.check()
		}
	})
}

// TestNobodyWaitsForGood: whatever has happened, once hosts serve and those who are
// woken come, everybody gets through who waits; and then nothing is remembered.
func TestNobodyWaitsForGood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newTraffic(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step()
		}
		w.now = w.now.Add(costlyProbe)
		for round := 0; len(w.calls)+len(w.admitted.who)+len(w.waiting.who) > 0; round++ {
			if round > 100 {
				t.Fatalf("%d still wait, %d in flight", len(w.waiting.who), len(w.calls))
			}
			for who, host := range w.calls {
				w.Leave(host, Waiter{Who: who}, Served, false, w.now)
				delete(w.calls, who)
			}
			for who, kept := range w.admitted.who {
				if w.Enter(kept.host, Waiter{Who: who}, w.now) == Go {
					w.calls[who] = kept.host
				}
			}
			// Of those who wait for a host that is down one comes by itself.
			for who, at := range w.waiting.who {
				if at.down(who.Namespace) && w.Enter(at.name, Waiter{Who: who}, w.now) == Go {
					w.calls[who] = at.name
				}
				break
			}
			w.check()
		}
		w.now = w.now.Add(time.Hour)
		w.Tick(w.now)
		if left := len(w.hosts) + len(w.slots.quick.namespaces) + len(w.slots.slow.hosts) + len(w.slots.lasted.slowly) + len(w.waiting.hosts); left > 0 {
			t.Fatalf("%d things are remembered", left)
		}
	})
}

// TestASaturatingNamespaceDelaysAnotherByBoundedTurns: one namespace has many waiters
// who always come again; another's one waiter is admitted within a few calls' ends.
func TestASaturatingNamespaceDelaysAnotherByBoundedTurns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ready []types.NamespacedName
		hosts := NewHosts(rapid.IntRange(1, 16).Draw(t, "workers"), func(who types.NamespacedName) { ready = append(ready, who) })
		inCall := []types.NamespacedName{}
		come := func(waiter Waiter) {
			if hosts.Enter("host", waiter, noon) == Go {
				inCall = append(inCall, waiter.Who)
			}
		}
		for n := range rapid.IntRange(20, 60).Draw(t, "crowd") {
			come(renewal("crowd", n, -n))
		}
		victim := waiterOf(rapid.SampledFrom([]Class{Renewal, New}).Draw(t, "class"), "victim", 0)
		come(victim)
		for turn := 0; turn < 3; turn++ {
			if hosts.Admitted(victim.Who) || inCall[len(inCall)-1] == victim.Who {
				return
			}
			ended := inCall[0]
			inCall = inCall[1:]
			hosts.Leave("host", Waiter{Who: ended}, Served, false, noon)
			come(Waiter{Who: ended, Deadline: noon.Add(-time.Hour)})
			for _, who := range ready {
				come(Waiter{Who: who})
			}
			ready = nil
		}
		t.Fatal("three calls have ended, and none of the slots went to the other namespace")
	})
}
