// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestASlowHostLeavesWorkersToTheOthers(t *testing.T) {
	t.Parallel()
	g := newGate(t, 8)
	for n := range 4 {
		g.enter("slow", fmt.Sprint(n), n, Go)
	}
	g.enter("slow", "z", 4, Busy)
	g.enter("second", "y", 5, Go)
	g.enter("second", "x", 6, Go)
	g.enter("second", "w", 7, Busy)
	g.enter("third", "v", 8, Go)
	g.enter("third", "u", 9, Busy)
	g.enter("a fourth", "t", 10, Go)
}

func TestANamespaceLeavesWorkersToTheOthers(t *testing.T) {
	t.Parallel()
	g := newGate(t, 8)
	for n := range 4 {
		g.enter(fmt.Sprint("host-", n), "greedy", n, Go)
	}
	g.enter("host-5", "greedy", 5, Busy)
	g.enter("host-5", "modest", 1, Go)
	g.enter("host-6", "modest", 2, Go)
	g.leave("host-5", "modest", 1, Served)
	g.leave("host-6", "modest", 2, Served)
	g.wantWoken("the greedy one's share did not grow")
	g.leave("host-0", "greedy", 0, Served)
	g.wantWoken("its own slot at another host is free", "greedy/credential-5")
}

func TestOneNamespaceThatWaitsDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	g.enter("host", "a", 0, Go)
	for n := 1; n < 5; n++ {
		g.enter("host", "a", n, Busy)
	}
	g.enter("host", "b", 99, Busy)
	g.leave("host", "a", 0, Served)
	g.enter("host", "a", 1, Go)
	g.leave("host", "a", 1, Served)
	g.enter("host", "b", 99, Go)
	g.wantWoken("namespaces take turns", "a/credential-1", "b/credential-99")
}

func TestSlotsAreSharedEquallyWhileOthersWait(t *testing.T) {
	t.Parallel()
	g := newGate(t, 16) // 8 slots for the host
	for n := range 8 {
		g.enter("host", "slow", n, Go)
	}
	for n := range 20 {
		g.enter("host", "slow", 10+n, Busy)
		g.enter("host", "fast", 10+n, Busy)
	}
	// Four of the slow calls end. From then on only fast ones do, again and again.
	for n := range 4 {
		g.leave("host", "slow", n, Served)
	}
	if got := g.hosts["host"].tenants["slow"].inFlight; got != 4 {
		t.Errorf("the namespace with slow calls holds %d of 8 slots while another waits, want half", got)
	}
	for range 16 {
		for _, who := range g.woken {
			if g.Enter("host", Waiter{Who: who}, g.now) == Go {
				g.Leave("host", Waiter{Who: who}, Served, false, g.now)
			}
			break
		}
		g.woken = g.woken[1:]
		if slow := g.hosts["host"].tenants["slow"].inFlight; slow > 4 && g.hosts["host"].waiting.Namespaces() > 1 {
			t.Fatalf("calls that take long pile up: %d of 8 slots", slow)
		}
	}
}

func TestWhoWaitsGoesByDeadline(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	g.enter("host", "a", 0, Go)
	for _, n := range []int{7, 3, 9} {
		g.enter("host", "a", n, Busy)
	}
	g.leave("host", "a", 0, Served)
	g.enter("host", "a", 1, Busy) // the slot is kept for who was woken
	g.enter("host", "a", 3, Go)
	g.leave("host", "a", 3, Served)
	g.wantWoken("the earliest deadline goes first", "a/credential-3", "a/credential-1")
}

func TestHalfOfTheSlotsAreNotForThoseWhoFail(t *testing.T) {
	t.Parallel()
	g := newGate(t, 8)
	failing := func(n int) Waiter {
		return Waiter{Who: credentialIn(fmt.Sprint(n), n), Class: Failing, FailedAt: noon}
	}
	for n, want := range []Verdict{Go, Go, Busy} {
		if got := g.Enter("host", failing(n), noon); got != want {
			t.Errorf("the verdict on number %d of those who fail is %s, want %s", n+1, got, want)
		}
	}
	g.enter("host", "x", 4, Go)
	g.enter("host", "y", 5, Go)
	g.enter("host", "z", 6, Busy)
	g.Leave("host", failing(0), Served, false, noon)
	g.wantWoken("with one of four slots free one that is well is woken, and one that fails is not", "z/credential-6")
}

func TestClassOfAFailureAtAHost(t *testing.T) {
	t.Parallel()
	outage := noon
	cases := map[string]struct {
		reason string
		waiter Waiter
		want   Class
	}{
		"failed before the host was back": {"the outage explains it", Waiter{Class: Failing, FailedAt: outage.Add(-1), Deadline: noon}, Renewal},
		"... and never had a token":       {"it is new again", Waiter{Class: Failing, FailedAt: outage.Add(-1)}, New},
		"failed since":                    {"it fails by itself", Waiter{Class: Failing, FailedAt: outage.Add(1), Deadline: noon}, Failing},
		"failed, nobody knows when":       {"nothing explains it", Waiter{Class: Failing, Deadline: noon}, Failing},
		"did not fail":                    {"its class is its own", Waiter{Class: New, FailedAt: outage.Add(1)}, New},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := &host{breaker: breaker{backAt: outage}}
			if got := at.classOf(c.waiter); got != c.want {
				t.Errorf("%s: class %d, want %d", c.reason, got, c.want)
			}
		})
	}
}

// TestASlotThatIsGivenUpWakesTheNextAtOnce, however it is given up.
func TestASlotThatIsGivenUpWakesTheNextAtOnce(t *testing.T) {
	t.Parallel()
	first := credentialIn("a", 1)
	cases := map[string]struct {
		reason string
		giveUp func(g *gate)
	}{
		"by Yield":             {"its token is fresh after all", func(g *gate) { g.Yield(first, g.now) }},
		"by Forget":            {"it is deleted", func(g *gate) { g.Forget(first, g.now) }},
		"by a call not made":   {"its Secret is gone", func(g *gate) { g.call("host", "a", 1, Unasked) }},
		"by calling elsewhere": {"its provider was changed", func(g *gate) { g.enter("other", "a", 1, Go) }},
		"by not coming":        {"its reconcile hangs", func(g *gate) { g.now = g.now.Add(admissionTimeout); g.Tick(g.now) }},
		"by not coming, and another call": {"there need be no tick", func(g *gate) {
			g.now = g.now.Add(admissionTimeout)
			g.call("unrelated", "c", 1, Served)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, 2)
			g.enter("host", "b", 0, Go)
			g.enter("host", "a", 1, Busy)
			g.enter("host", "d", 2, Busy)
			g.leave("host", "b", 0, Served)
			g.wantWoken("the first waiter", first.String())
			c.giveUp(g)
			g.wantWoken(c.reason, "d/credential-2")
			g.enter("host", "d", 2, Go)
		})
	}
}

func TestWhoComesLateKeepsItsPosition(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	g.enter("host", "b", 0, Go)
	for n := 1; n < 5; n++ {
		g.Enter("host", waiterOf(New, "a", n), g.now)
	}
	g.leave("host", "b", 0, Served)
	g.now = g.now.Add(admissionTimeout)
	g.Tick(g.now)
	g.wantWoken("the slot of the first goes to the second", "a/credential-1", "a/credential-2")
	if !g.Admitted(credentialIn("a", 1)) {
		t.Error("who was woken and comes late waits for its planned time")
	}
	if got := g.Enter("host", waiterOf(New, "a", 1), g.now); got != Busy {
		t.Errorf("the verdict on the late one is %s, while its slot is another's", got)
	}
	g.Yield(credentialIn("a", 2), g.now)
	g.wantWoken("the late one is ahead of who came after it", "a/credential-1")
}

func TestWhoComesLateTakesItsSlotIfNobodyElseNeedsIt(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	g.enter("host", "b", 0, Go)
	g.enter("host", "a", 1, Busy)
	g.leave("host", "b", 0, Served)
	g.now = g.now.Add(time.Hour)
	g.enter("host", "a", 1, Go)
	if g.slots.quick.inFlight != 1 {
		t.Errorf("%d slots are held by one call", g.slots.quick.inFlight)
	}
}

func TestFullParksWithoutTakingASlot(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	if g.Full("host", renewal("a", 1, 1), g.now) {
		t.Error("a host that nobody calls is full")
	}
	if len(g.hosts) != 0 || g.slots.quick.inFlight != 0 {
		t.Errorf("a question is remembered: %d hosts, %d in flight", len(g.hosts), g.slots.quick.inFlight)
	}
	g.enter("host", "b", 0, Go)
	if !g.Full("host", renewal("a", 1, 1), g.now) {
		t.Fatal("a host whose slots are taken is not full")
	}
	g.leave("host", "b", 0, Served)
	g.wantWoken("who was parked", "a/credential-1")
	if g.Full("host", renewal("a", 1, 1), g.now) {
		t.Error("the slot that is kept for it does not count")
	}
	if !g.Full("host", renewal("c", 1, 1), g.now) {
		t.Error("the slot that is kept for another counts as free")
	}
	g.enter("host", "a", 1, Go)
}

func TestWhoWaitsForAnotherHostNowIsNotWokenForTheFirst(t *testing.T) {
	t.Parallel()
	g := newGate(t, 4)
	g.enter("first", "b", 0, Go)
	g.enter("first", "c", 0, Go)
	g.enter("first", "a", 1, Busy)
	g.enter("second", "a", 1, Go)
	g.leave("first", "b", 0, Served)
	g.wantWoken("it has what it wanted")
}

// TestASlotThatLapsesDoesNotGoToWhoAsksAnotherHost in this very moment: it would hold two.
func TestASlotThatLapsesDoesNotGoToWhoAsksAnotherHost(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	g.enter("first", "b", 0, Go)
	g.enter("first", "c", 1, Busy)
	g.enter("first", "a", 2, Busy)
	g.leave("first", "b", 0, Served)
	g.wantWoken("one that will not come", "c/credential-1")
	g.now = g.now.Add(admissionTimeout)
	g.enter("second", "a", 2, Go)
	if g.slots.quick.inFlight != 1 {
		t.Errorf("one call holds %d slots", g.slots.quick.inFlight)
	}
}

func TestSpellingsOfAHostAreOneHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a host spelt in many ways")
	g := newGate(t, 4)
	g.enter("auth.example", "a", 0, Go)
	g.enter("AUTH.example.", "b", 1, Go)
	g.enter("auth.example:0443", "c", 2, Busy)
	g.leave("Auth.Example:443", "a", 0, Served)
	g.wantWoken("the slot is free for all spellings", "c/credential-2")
}

// TestCrowded tells who waits for tokens that come and go from who waits for a host that
// does not answer.
func TestCrowded(t *testing.T) {
	t.Parallel()
	g := newGate(t, 8)
	queued := 0
	crowded := func(reason string, want bool) {
		t.Helper()
		if got := g.Crowded(queued); got != want {
			t.Errorf("crowded: %t, want %t: %s", got, want, reason)
		}
	}
	n := 0
	for g.Enter("host", waiterOf(Renewal, "team", n), g.now) == Go {
		crowded("nobody waits", false)
		n++
	}
	for range crowdSize*8 - 1 {
		crowded("those who wait have their tokens soon", false)
		n++
		g.Enter("host", waiterOf(Renewal, "team", n), g.now)
	}
	crowded("many wait for calls that are quick so far", true)
	g.now = g.now.Add(slowAfter)
	g.Tick(g.now)
	crowded("the calls have turned out slow", false)
	queued = crowdSize*8 - 1
	crowded("those who are queued have their tokens soon", false)
	queued++
	crowded("many wait for a worker", true)
}
