// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// watches stands between the operator's cache and the API server: it holds back
// what the cache would hear of, or drops it. Safe for concurrent use.
type watches struct {
	mu      sync.Mutex
	held    chan struct{} // closed: nothing is held back any more
	deaf    bool
	dropped int
}

// hold keeps back what comes from now on; what it returns lets it through.
func (g *watches) hold() (release func()) {
	held := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = held
	return sync.OnceFunc(func() { close(held) })
}

// drop throws away what comes from now on, or hears again.
func (g *watches) drop(deaf bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deaf, g.dropped = deaf, 0
}

// missed is how many pieces were thrown away.
func (g *watches) missed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dropped
}

func (g *watches) wrap(direct http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		response, err := direct.RoundTrip(request)
		if err == nil && request.URL.Query().Has("watch") {
			response.Body = &watched{ReadCloser: response.Body, by: g, ended: make(chan struct{})}
		}
		return response, err
	})
}

// watched is the body of a watch: each event is one piece of it.
type watched struct {
	io.ReadCloser
	by    *watches
	once  sync.Once
	ended chan struct{}
}

func (w *watched) Read(into []byte) (int, error) {
	for {
		n, err := w.ReadCloser.Read(into)
		w.by.mu.Lock()
		held, deaf := w.by.held, w.by.deaf
		if deaf && err == nil {
			w.by.dropped++
		}
		w.by.mu.Unlock()
		if deaf && err == nil {
			continue
		}
		if held != nil {
			select {
			case <-held:
			case <-w.ended:
			}
		}
		return n, err
	}
}

func (w *watched) Close() error {
	w.once.Do(func() { close(w.ended) })
	return w.ReadCloser.Close()
}

func TestACacheThatIsNotUpToDate(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "a cache that lags behind a refresh", promise: "it leads to no second call", shows: []string{"a cache that lags"},
			play: func(w *world) {
				cache := w.lagging()
				release := func() {}
				calls := w.calls()
				w.duringExchange(func() { release = cache.hold() })
				defer func() { release() }()
				w.awaitRefreshes(xiaomi, 2) // told by the API server, not yet by the cache
				w.awaitLooks(3)
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("a cache that lags led to %d calls, want 1", got)
				}
				release()
				w.keptAndFresh()
				w.spentOnce(2)
			},
		},
		{
			name: "a cache that lags behind a failure", promise: "what is told of the failure goes with it", shows: []string{"a cache that lags"},
			play: func(w *world) {
				cache := w.lagging()
				release := func() {}
				w.exchangeWith(reply(200, nil, `&&&START&&&{"error":96002}`), func() { release = cache.hold() })
				defer func() { release() }()
				w.await(xiaomi, "a failure", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts == 1 })
				w.awaitRefreshes(xiaomi, 2)
				release()
				w.keptAndFresh()
				w.spentOnce(2)
			},
		},
		{
			name: "events that are missed", promise: "the next look finds what was missed", shows: []string{"events that are missed"},
			play: func(w *world) {
				cache := w.lagging()
				w.awaitLook(xiaomi)
				cache.drop(true)
				w.deleteSecret(xiaomi + "-token")
				w.authorizeAgain()
				w.simulator.Revoke(simulator.DemoXiaomiGrant)
				if !w.eventually(func() bool { return cache.missed() >= 2 }) {
					w.t.Fatal("there was nothing to miss")
				}
				cache.drop(false)
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.awaitFresh(xiaomi)
				w.kept("other", 0)
				other, _ := w.simulator.Grant("other")
				if other.Refreshes != 1 || string(w.read(xiaomi + "-token")["access_token"]) != other.AccessToken {
					w.t.Errorf("the seed that was missed was spent %d times, want once, or the target was not made again", other.Refreshes)
				}
			},
		},
	})
}

// lagging starts an operator whose cache can be made to lag, and which looks at
// everything again each second by what the cache says.
func (w *world) lagging() *watches {
	w.t.Helper()
	cache := &watches{}
	w.wire, w.resync, w.verbosity = cache.wrap, time.Second, 5
	w.start()
	w.fresh()
	return cache
}

// awaitLooks waits until the operator has looked at the credential so often
// again.
func (w *world) awaitLooks(n int) {
	w.t.Helper()
	before := w.journal.looks(xiaomi)
	if !w.eventually(func() bool { return w.journal.looks(xiaomi) >= before+n }) {
		w.t.Fatal("the operator does not look at the credential again")
	}
}
