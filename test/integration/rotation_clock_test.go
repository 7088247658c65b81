// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestAClockThatIsOff(t *testing.T) {
	t.Parallel()
	const off = time.Hour
	survive(t, []fault{
		{
			name: "an hour ahead, then right", promise: "a token got meanwhile is renewed at once, before the provider ends it",
			shows: []string{"the clock an hour off, either way"},
			play: func(w *world) {
				w.providerKnowsTheTime()
				w.clock.shift(off)
				w.start()
				w.fresh()
				w.clock.shift(-off)
				w.wake()
				w.awaitRefreshes(xiaomi, 2)
				w.rightOnceTheClockIs()
			},
		},
		{
			name: "an hour behind, then right", promise: "the token counts as expired, and is renewed at once",
			shows: []string{"the clock an hour off, either way"},
			play: func(w *world) {
				w.providerKnowsTheTime()
				w.clock.shift(-off)
				w.start()
				w.fresh()
				w.clock.shift(off)
				w.wake()
				w.awaitRefreshes(xiaomi, 2)
				w.rightOnceTheClockIs()
			},
		},
		{
			name: "an hour ahead in the middle of an exchange, then right", promise: "no spent token is sent",
			shows: []string{"the clock an hour off, either way"},
			play: func(w *world) {
				w.providerKnowsTheTime()
				w.start()
				w.fresh()
				answer := make(chan struct{})
				calls := w.calls()
				w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Until: answer})
				w.askForRefresh(xiaomi, "now")
				if !w.eventually(func() bool { return w.calls() > calls }) {
					w.t.Fatal("the provider was not called")
				}
				w.clock.shift(off)
				close(answer)
				w.awaitRefreshes(xiaomi, 3) // what the answer brought counts as expired at once
				w.clock.shift(-off)
				w.wake()
				w.rightOnceTheClockIs()
			},
		},
	})
}

// providerKnowsTheTime keeps the simulator at the true time, whatever the
// operator's clock says.
func (w *world) providerKnowsTheTime() {
	w.simulator.Configure(func(o *simulator.Options) { o.Clock = time.Now })
}

// rightOnceTheClockIs checks that what is told of the token is true.
func (w *world) rightOnceTheClockIs() {
	w.t.Helper()
	w.await(xiaomi, "a true time of expiry", func(c *v1alpha1.TokenCredential) bool {
		told, ends := c.Status.ExpirationTime.Time, w.grant().AccessTokenExpiresAt
		atRest := w.state(xiaomi, "attempt") == "" && w.state(xiaomi, "refresh_token") == w.grant().Current
		return atRest && !told.After(ends) && ends.Sub(told) < time.Minute
	})
	w.keptAndFresh()
}
