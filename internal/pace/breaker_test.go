// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestAHostIsDownForWhomItFails(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason       string
		use          func(g *gate)
		own, another Verdict // of "a", and of "z" that has not called the host yet
	}{
		"one namespace's calls fail": {
			"it may be the path that it calls",
			func(g *gate) { g.fail("host", "a", Unavailable) }, Down, Go,
		},
		"one namespace's calls fail unclearly": {
			"a time-out may be of its own making too",
			func(g *gate) { g.fail("host", "a", Unclear) }, Down, Go,
		},
		"four failures in a row": {
			"a few failures are no outage",
			func(g *gate) {
				for n := range downAfter - 1 {
					g.call("host", "a", n, Unavailable)
				}
			}, Go, Go,
		},
		"a success in between": {
			"failures in a row count",
			func(g *gate) {
				for n := range 2 * downAfter {
					g.call("host", "a", n, map[bool]Answer{true: Unavailable, false: Served}[n%downAfter != 0])
				}
			}, Go, Go,
		},
		"throttled again and again": {
			"a host that says so is well",
			func(g *gate) { g.fail("host", "a", Throttled) }, Go, Go,
		},
		"nobody can connect": {
			"that does not depend on who calls",
			func(g *gate) { g.fail("host", "a", Unreachable) }, Down, Down,
		},
		"connections fail, and one succeeds with an error": {
			"a reply needs a connection",
			func(g *gate) {
				for n := range downAfter - 1 {
					g.call("host", "a", n, Unreachable)
				}
				g.call("host", "b", 1, Unavailable)
				g.call("host", "a", 9, Unreachable)
			}, Go, Go,
		},
		"several namespaces' calls fail": {
			"one failing more is enough for who has failed; who has not may try",
			func(g *gate) {
				for n := range 3 {
					g.call("host", "a", n, Unavailable)
					g.call("host", "b", n, Unavailable)
				}
			}, Down, Go,
		},
		"several fail and one succeeds": {
			"then it is not the host",
			func(g *gate) {
				for n := range 3 {
					g.call("host", "a", n, Unavailable)
					g.call("host", "b", n, Unavailable)
				}
				g.call("host", "c", 1, Served)
			}, Go, Go,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, 16)
			c.use(g)
			g.enter("host", "a", 50, c.own)
			g.enter("host", "z", 60, c.another)
			g.enter("another host", "a", 70, Go)
			if t.Failed() {
				t.Log(c.reason)
			}
		})
	}
}

// TestNeighboursOfAFailingPathAreServed: 12 credentials at a path that answers 5xx kept
// three of four neighbours from a token for a minute.
func TestNeighboursOfAFailingPathAreServed(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a path of a shared host that always fails")
	g := newGate(t, 16)
	for second := range 60 {
		g.now = noon.Add(time.Duration(second) * time.Second)
		for n := range 12 {
			if g.Enter("shared", renewal("broken", n, 1), g.now) == Go {
				g.leave("shared", "broken", n, Unavailable)
			}
		}
		for _, neighbour := range []string{"b", "c", "d", "e"} {
			g.call("shared", neighbour, second, Served)
		}
	}
	if limit := g.hosts["shared"].limit; limit != 16 {
		t.Errorf("the failing path has cut the host's limit to %d for all", limit)
	}
}

// TestTwoNamespacesTogetherDoNotHarmAThird whose calls succeed, however seldom they are,
// and although the others' calls take their slots until a time-out.
func TestTwoNamespacesTogetherDoNotHarmAThird(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "two namespaces that let a shared host time out")
	const timeout = 30 // s
	g := newGate(t, 16)
	ends := map[int][]Waiter{}
	start := func(second int, waiter Waiter) {
		if g.Enter("shared", waiter, g.now) == Go {
			ends[second+timeout] = append(ends[second+timeout], waiter)
		}
	}
	for second := range 1800 {
		g.now = noon.Add(time.Duration(second) * time.Second)
		for _, waiter := range ends[second] {
			g.Leave("shared", waiter, Unavailable, false, g.now)
		}
		start(second, renewal("a", second, 1))
		start(second, renewal("b", second, 1))
		for _, who := range g.woken {
			start(second, Waiter{Who: who})
		}
		g.woken = nil
		if second%60 == 59 {
			g.call("shared", "c", second, Served)
		}
	}
}

func TestWhoHasNotFailedTriesASuspectHostOneCallAtATime(t *testing.T) {
	t.Parallel()
	g := newGate(t, 16)
	g.fail("host", "a", Unavailable)
	g.fail("host", "b", Unavailable)
	g.enter("host", "c", 1, Go)
	g.enter("host", "c", 2, Busy)
	g.leave("host", "c", 1, Unavailable)
	g.wantWoken("one failure may be chance", "c/credential-2")
	g.call("host", "c", 2, Unavailable)
	g.enter("host", "c", 3, Down)
}

func TestAHostThatIsBackForOneIsTriedByTheOthers(t *testing.T) {
	t.Parallel()
	g := newGate(t, 16)
	g.fail("host", "a", Unavailable)
	g.fail("host", "b", Unavailable)
	for n := range 3 {
		g.enter("host", "a", n, Down)
	}
	g.now = g.now.Add(firstProbe)
	g.call("host", "c", 1, Served)
	g.wantWoken("one call tries it, and not all that wait", "a/credential-0")
	g.call("host", "a", 0, Unavailable)
	g.wantWoken("it is still down for this namespace")
	g.enter("host", "a", 7, Down)
}

func TestAHostThatIsDownIsProbed(t *testing.T) {
	t.Parallel()
	for _, answer := range []Answer{Unavailable, Unclear, Unreachable} {
		t.Run(string(answer), func(t *testing.T) {
			t.Parallel()
			g := newGate(t, 16)
			for n := range downAfter {
				g.enter("host", "a", n, Go)
				g.leave("host", "a", n, answer)
			}
			g.enter("host", "a", 6, Down)
			if g.Full("host", renewal("a", 7, 7), g.now) {
				t.Error("the credential is parked and does not report that the host is down")
			}
			g.now = g.now.Add(firstProbe)
			g.enter("host", "a", 8, Go)
			g.enter("host", "a", 9, Down)
			g.wantWoken("nobody is woken for a probe")
			g.leave("host", "a", 8, Served)
			// Who failed last, and who was turned away, as many as it seems to bear.
			if len(g.woken) == 0 || len(g.woken) > 4 || g.woken[0] != credentialIn("a", downAfter-1) {
				t.Errorf("once it is back %v go at once, want a few, by deadline", g.woken)
			}
		})
	}
}

func TestAProbeThatIsNotMadeLeavesTheProbeToTheNext(t *testing.T) {
	t.Parallel()
	g := newGate(t, 16)
	g.fail("host", "a", Unreachable)
	g.now = g.now.Add(firstProbe)
	g.call("host", "b", 1, Unasked)
	g.enter("host", "c", 1, Go)
}

func TestHowOftenAHostIsProbed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		answer Answer
		probes int
		want   time.Duration
	}{
		"at first":                {"most outages are short", Unavailable, 0, firstProbe},
		"at first, at some cost":  {"most outages are short", Unclear, 0, firstProbe},
		"suspect":                 {"two failures are fewer than five", Unavailable, suspectAfter - downAfter, firstProbe},
		"after two in vain":       {"less often with each", Unavailable, 2, 4 * firstProbe},
		"after three in vain":     {"tokens expire meanwhile, and a probe costs nothing", Unavailable, 3, longestProbe},
		"without a connection":    {"nothing was sent", Unreachable, 3, longestProbe},
		"after hours":             {"no shift overflows", Unavailable, 1 << 20, longestProbe},
		"after hours, at a price": {"each probe may cost a token", Unclear, 1 << 20, costlyProbe},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := probePause(c.probes, c.answer); got != c.want {
				t.Errorf("%s: the pause is %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestRetryAfterHoldsWhenAHostIsBack(t *testing.T) {
	t.Parallel()
	g := newGate(t, 16)
	g.fail("host", "a", Unavailable) // patient ones
	g.now = g.now.Add(time.Minute)
	g.call("host", "a", 9, Served)
	g.wantWoken("the host said when to come again")
}

func TestLimitsFollowWhoseCallsAreNotServed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		use        func(g *gate)
		host, a, z int
	}{
		"one namespace is throttled": {
			"it may be its account that is", func(g *gate) { g.fail("host", "a", Throttled) }, 16, 1, 16,
		},
		"several are throttled": {
			"then it is the host", func(g *gate) { g.call("host", "a", 1, Throttled); g.call("host", "b", 1, Throttled) }, 8, 8, 16,
		},
		"connections fail": {
			"for whomever", func(g *gate) { g.call("host", "a", 1, Unreachable) }, 8, 16, 16,
		},
		"it serves again": {
			"one more with each success", func(g *gate) { g.call("host", "a", 1, Throttled); g.call("host", "a", 1, Served) }, 16, 9, 16,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, 16)
			c.use(g)
			at := g.at("host", g.now)
			a, z := at.tenant("a", 16, g.now).limit, at.tenant("z", 16, g.now).limit
			if at.limit != c.host || a != c.a || z != c.z {
				t.Errorf("%s: the limits are %d, %d for the one, %d for another; want %d, %d, %d", c.reason, at.limit, a, z, c.host, c.a, c.z)
			}
		})
	}
}
