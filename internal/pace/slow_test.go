// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const (
	// step is how often time passes in a siege, as often as Tick is to be called.
	step = 250 * time.Millisecond
	// hangs is how long a call of a besieger lasts: as long as an exchange may.
	hangs = 30 * time.Second
)

// siege is a crowd of namespaces that make as many calls as they get, each of which hangs.
type siege struct {
	*testing.T
	*Hosts
	now    time.Time
	woken  map[types.NamespacedName]bool
	asked  map[types.NamespacedName]string // at which host one waits
	ending map[time.Time][]string          // calls, as namespace/number and host
	calls  map[types.NamespacedName]bool
	number int
}

func newSiege(t *testing.T, workers int) *siege {
	s := &siege{
		T: t, now: noon, woken: map[types.NamespacedName]bool{}, asked: map[types.NamespacedName]string{},
		ending: map[time.Time][]string{}, calls: map[types.NamespacedName]bool{},
	}
	s.Hosts = NewHosts(workers, func(who types.NamespacedName) { s.woken[who] = true })
	return s
}

// attack has a namespace begin as many calls as it can, each to a host of hostOf.
func (s *siege) attack(namespace string, hostOf func(int) string, lasting time.Duration) {
	for range 4 * s.slots.workers {
		s.number++
		host := hostOf(s.number)
		waiter := waiterOf(New, namespace, s.number)
		if s.Enter(host, waiter, s.now) != Go {
			s.Forget(waiter.Who, s.now)
			return
		}
		s.begin(host, waiter.Who, lasting)
	}
}

func (s *siege) begin(host string, who types.NamespacedName, lasting time.Duration) {
	s.calls[who] = true
	if lasting == 0 {
		s.end(host, who)
		return
	}
	at := s.now.Add(lasting)
	s.ending[at] = append(s.ending[at], host, who.Namespace, who.Name)
}

func (s *siege) end(host string, who types.NamespacedName) {
	delete(s.calls, who)
	s.Leave(host, Waiter{Who: who}, Served, true, s.now)
}

func (s *siege) pass() {
	s.now = s.now.Add(step)
	ended := s.ending[s.now]
	delete(s.ending, s.now)
	for ; len(ended) > 0; ended = ended[3:] {
		s.end(ended[0], types.NamespacedName{Namespace: ended[1], Name: ended[2]})
	}
	s.Tick(s.now)
}

// wait is how long a credential has to wait for a call that ends at once, while the
// besiegers go on.
func (s *siege) wait(host string, who Waiter, goOn func()) time.Duration {
	began := s.now
	for s.Enter(host, who, s.now) != Go {
		if s.now.Sub(began) > hangs {
			return hangs
		}
		s.pass()
		if !s.woken[who.Who] { // it is ahead of who comes by chance
			goOn()
		}
	}
	s.calls[who.Who] = true
	s.end(host, who.Who)
	return s.now.Sub(began)
}

func TestSlowCallsOfManyNamespacesLeaveWorkersToTheOthers(t *testing.T) {
	faults.Shows(t, "namespaces without number whose providers do not answer")
	t.Parallel()
	const workers = 64
	oneEach := func(namespace string) func(int) string {
		return func(int) string { return namespace + ".example" }
	}
	cases := map[string]struct {
		reason     string
		namespaces int
		hosts      func(namespace string) func(int) string
		bait       bool // their calls are quick first
		isNew      bool // nothing is known of the one that is well
	}{
		"seven, a host each": {"they took 32, 16, 8, 4, 2, 1 and 1 of 64 workers", 7, oneEach, false, false},
		"seven, a host a call": {"names are without number", 7,
			func(namespace string) func(int) string {
				return func(n int) string { return fmt.Sprintf("%d.%s.example", n, namespace) }
			}, false, false},
		"seven, one host":                                 {"its slots are theirs", 7, func(string) func(int) string { return oneEach("shared") }, false, false},
		"seven, which answered at first":                  {"they are known to be quick", 7, oneEach, true, false},
		"seven, beside one that comes for the first time": {"its provider may be quick", 7, oneEach, false, true},
		"twenty": {"more than workers have halves", 20, oneEach, false, false},
		"twenty, beside one that comes for the first time": {"known slow ones leave room for new ones", 20, oneEach, false, true},
		"two hundred": {"more than there may be calls", 200, oneEach, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSiege(t, workers)
			well := renewal("well", 1, 1)
			s.wait("well.example", well, func() {})
			attack := func(lasting time.Duration) {
				for n := range c.namespaces {
					namespace := fmt.Sprintf("hostile-%d", n)
					s.attack(namespace, c.hosts(namespace), lasting)
				}
			}
			if c.bait {
				attack(0)
			}
			longest, late, seen := time.Duration(0), 0, 0
			for range int(3 * time.Minute / step) {
				attack(hangs)
				host, who := "well.example", well
				if c.isNew {
					s.number++
					host, who = fmt.Sprintf("%d.new.example", s.number), renewal("well", s.number, 1)
				}
				waited := s.wait(host, who, func() { attack(hangs) })
				longest, seen = max(longest, waited), seen+1
				if waited > time.Second {
					late++
				}
				s.pass()
				if inFlight := len(s.calls); inFlight > Parallel(workers)-workers/2 {
					t.Fatalf("%d calls are in flight, and leave less than half of %d workers", inFlight, workers)
				}
			}
			// More than fourteen that come at once may keep a newcomer waiting, once.
			if late*100 > seen || !c.isNew && longest > slowAfter+step {
				t.Errorf("%s: of %d calls %d waited for more than a second, the longest for %s", c.reason, seen, late, longest)
			}
		})
	}
}

func TestHowLongCallsLastedIsRemembered(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		use    func(g *gate)
		want   tempo
	}{
		"nothing is known":           {"it never called", func(*gate) {}, unknown},
		"quick":                      {"it answered at once", func(g *gate) { g.call("h", "a", 1, Served) }, knownQuick},
		"throttled":                  {"that is an answer", func(g *gate) { g.call("h", "a", 1, Throttled) }, knownQuick},
		"failed":                     {"that says nothing of a call that is served", func(g *gate) { g.call("h", "a", 1, Unavailable) }, unknown},
		"slow":                       {"it took a second", func(g *gate) { g.callFor("h", "a", slowAfter) }, knownSlow},
		"slow elsewhere":             {"hosts can be named without end", func(g *gate) { g.callFor("other", "a", slowAfter) }, knownSlow},
		"slow elsewhere, quick here": {"it was quick here", func(g *gate) { g.call("h", "a", 1, Served); g.callFor("other", "a", slowAfter) }, knownQuick},
		"slow for another namespace": {"that may be its account", func(g *gate) { g.callFor("h", "b", slowAfter) }, unknown},
		"quick again":                {"the last call counts", func(g *gate) { g.callFor("h", "a", slowAfter); g.call("h", "a", 1, Served) }, knownQuick},
		"slow again":                 {"the last call counts", func(g *gate) { g.call("h", "a", 1, Served); g.callFor("h", "a", slowAfter) }, knownSlow},
		"slow and still under way":   {"it need not have ended", func(g *gate) { g.enter("h", "a", 1, Go); g.now = g.now.Add(slowAfter); g.Tick(g.now) }, knownSlow},
		"slow, ten minutes ago":      {"it may be well again", func(g *gate) { g.callFor("h", "a", slowAfter); g.now = g.now.Add(rememberSlow); g.Tick(g.now) }, unknown},
		"woken, and did not call":    {"a slot that is kept is no call", func(g *gate) { g.woke("h"); g.now = g.now.Add(slowAfter); g.Tick(g.now) }, unknown},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, 2)
			c.use(g)
			if got := g.slots.lasted.known("h", "a"); got != c.want {
				t.Errorf("%s: %d, want %d", c.reason, got, c.want)
			}
		})
	}
}

// callFor makes a call that lasts.
func (g *gate) callFor(host, namespace string, lasting time.Duration) {
	g.t.Helper()
	g.enter(host, namespace, 1, Go)
	g.now = g.now.Add(lasting)
	g.Leave(host, renewal(namespace, 1, 1), Served, true, g.now)
}

// woke has a credential of the namespace a woken for a slot at a host, for which it waited.
func (g *gate) woke(host string) {
	g.t.Helper()
	g.enter(host, "b", 0, Go)
	g.enter(host, "a", 1, Busy)
	g.leave(host, "b", 0, Served)
	g.wantWoken("there is a slot", "a/credential-1")
}
