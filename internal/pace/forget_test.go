// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/pace/sweep"
)

func TestHostsForgets(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		use    func(g *gate)
		after  time.Duration
	}{
		"a call that was served":    {"nothing is to be remembered", func(g *gate) { g.call("h", "a", 1, Served) }, 0},
		"a call that was not made":  {"nothing is to be remembered", func(g *gate) { g.call("h", "a", 1, Unasked) }, 0},
		"a failure":                 {"it counts for ten minutes", func(g *gate) { g.call("h", "a", 1, Unavailable) }, rememberHost + sweep.Every},
		"an outage that ended":      {"it excuses failures for ten minutes", func(g *gate) { g.fail("h", "a", Unavailable); g.leave("h", "a", 1, Served) }, rememberHost + sweep.Every},
		"waiters for what is down":  {"nobody came back in all the time", func(g *gate) { g.fail("h", "a", Unreachable); g.enter("h", "a", 1, Down) }, rememberHost + sweep.Every},
		"one who was woken in vain": {"it does not come any more", func(g *gate) { g.enter("h", "b", 0, Go); g.enter("h", "a", 1, Busy); g.leave("h", "b", 0, Served) }, time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, 2)
			c.use(g)
			if c.after > 0 {
				g.now = g.now.Add(c.after)
				g.Tick(g.now)
				g.now = g.now.Add(c.after)
				g.Tick(g.now)
			}
			left := len(g.hosts) + len(g.waiting.hosts) + len(g.waiting.who) + len(g.admitted.who) + len(g.admitted.pending) + len(g.slots.quick.namespaces) + g.slots.quick.inFlight
			if left != 0 {
				t.Errorf("%s: remembered: hosts %v, waiting %v, admitted %v", c.reason, g.hosts, g.waiting.who, g.admitted.who)
			}
		})
	}
}
