// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

// panicking calls providers, and panics once: before the request is sent, or
// with the reply in hand.
type panicking struct {
	egress.Caller
	before, after atomic.Bool
}

func (p *panicking) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	if p.before.CompareAndSwap(true, false) {
		panic("the way to the provider is broken")
	}
	reply, err := p.Caller.Do(request, singleUse)
	if p.after.CompareAndSwap(true, false) {
		panic("the reply cannot be read")
	}
	return reply, err
}

func TestAPanicInTheMiddleOfAnExchange(t *testing.T) {
	t.Parallel()
	with := func(w *world) *panicking {
		caller := &panicking{}
		w.way = func(direct egress.Caller) egress.Caller {
			caller.Caller = direct
			return caller
		}
		w.start()
		w.fresh()
		return caller
	}
	// lives checks that the worker does, and that what it logged tells no token.
	lives := func(w *world, tokens ...string) {
		w.t.Helper()
		w.curedByAnotherSeed(0)
		log := w.journal.String()
		if !strings.Contains(log, "Observed a panic") {
			w.t.Error("nothing panicked")
		}
		for _, token := range tokens {
			if strings.Contains(log, token) {
				w.t.Error("the log holds a refresh token")
			}
		}
	}
	survive(t, []fault{
		{
			name: "with the reply in hand", promise: "its refresh token is lost, and a person is told; the worker lives",
			shows: []string{"a panic while a reply is read"},
			play: func(w *world) {
				caller := with(w)
				sent, calls := w.state(xiaomi, "refresh_token"), w.calls()
				caller.after.Store(true)
				w.fallDue()
				w.stallsUnknown()
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("the token was sent %d times, want once", got)
				}
				lives(w, sent, w.grant().Current)
			},
		},
		{
			name: "before anything is sent, with RetryOnce allowed", promise: "the refresh token is kept, and the one retry sends it",
			shows: []string{"a panic while a reply is read"},
			play: func(w *world) {
				caller := with(w)
				sent, calls := w.state(xiaomi, "refresh_token"), w.calls()
				caller.before.Store(true)
				w.fallDue()
				w.stallsUnknown()
				w.retryOnce()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				w.spentOnce(2)
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("the provider got %d calls, want 1", got)
				}
				lives(w, sent)
			},
		},
		{
			name: "with the reply in hand, and a reuse window", promise: "the token is sent again inside the window, and all is well",
			shows: []string{"a panic while a reply is read"},
			play: func(w *world) {
				w.describeWithWindow()
				caller := &panicking{}
				w.way = func(direct egress.Caller) egress.Caller {
					caller.Caller = direct
					return caller
				}
				w.start()
				w.fresh(ofCluster(w))
				caller.after.Store(true)
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				if reuses := w.grant().WindowReuses; reuses != 1 {
					w.t.Errorf("the token was sent %d times inside the window, want once", reuses)
				}
				lives(w)
			},
		},
	})
}
