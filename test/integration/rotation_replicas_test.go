// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestTwoReplicasAtOneCredential(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "two replicas that both believe they lead: one call",
			shows:   []string{"two replicas that both believe they lead"},
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
			shows:   []string{"two replicas that both believe they lead"},
			promise: "neither sends the token again, and a person is told",
			play: func(w *world) {
				w.start()
				w.start()
				w.fresh()
				calls := w.calls()
				w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Reset: true})
				w.fallDue()
				// The one knows that it was itself; the other waits for a holder that it does
				// not know, and until then does not say what the first says.
				w.await(xiaomi, "the other replica sees the attempt", func(*v1alpha1.TokenCredential) bool {
					return strings.Contains(w.journal.String(), "another process holds the claim")
				})
				w.clock.shift(recovery.HolderTimeout)
				w.askForRefresh(xiaomi, "please")
				w.awaitLook(xiaomi)
				w.clock.shift(time.Hour) // past the expiry of the token
				w.awaitLook(xiaomi)
				w.stalls(v1alpha1.OutcomeUnknownReason)
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("the provider got %d calls, want 1", got)
				}
				w.curedByAnotherSeed(0)
			},
		},
	})
}
