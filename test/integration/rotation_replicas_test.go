// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestTwoReplicasAtOneCredential(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "two replicas that both believe they lead: one call",
			promise: "each time the token falls due it is sent once",
			play: func(w *world) {
				w.start()
				w.start()
				w.fresh()
				const rounds = 5
				for round := range rounds {
					w.fallDue()
					w.awaitRefreshes(xiaomi, int64(round)+2)
					w.awaitLook(xiaomi)
					w.keptAndFresh()
				}
				if calls := w.calls(); calls != rounds+1 {
					w.t.Errorf("the provider got %d calls, want %d", calls, rounds+1)
				}
			},
		},
		{
			name:    "two replicas that both believe they lead, and a reply that is lost",
			promise: "neither sends the token again, and a person is told",
			play: func(w *world) {
				w.start()
				w.start()
				w.fresh()
				calls := w.calls()
				w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Reset: true})
				w.fallDue()
				w.clock.shift(someTime) // the other replica sees an attempt whose holder it does not know
				w.stalls("OutcomeUnknown")
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("the provider got %d calls, want 1", got)
				}
				w.nothingIsSent()
				w.curedByAnotherSeed(0)
			},
		},
	})
}
