// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
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

// TestATargetThatTheCacheHasYetToShowIsNotTakenForDeleted is of an operator that watches all
// namespaces: of several caches it is not known how far each has come. It runs before the
// others, as TestWhatAnAdminSaysOfNamespacesIsSeenAtOnce does.
func TestATargetThatTheCacheHasYetToShowIsNotTakenForDeleted(t *testing.T) { //nolint:paralleltest // see above
	faults.Shows(t, "a cache that lags")
	w := newWorld(t, simulator.Hour)
	cache, reads := &watches{}, &atomic.Int64{}
	w.wire = func(direct http.RoundTripper) http.RoundTripper {
		return cache.wrap(readsOf(xiaomiState, direct, reads))
	}
	w.resync, w.verbosity = time.Second, 5 // all is looked at again each second by what the cache says
	answer := make(chan struct{})
	w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Until: answer})
	w.letIn(nil)
	w.clusterWide()
	w.await(xiaomi, "a call", func(*v1alpha1.TokenCredential) bool { return w.calls() > 0 })
	release := cache.hold()
	defer release()
	close(answer)
	w.awaitRefreshes(xiaomi, 1)
	w.awaitLooks(1)
	before := reads.Load()
	w.awaitLooks(3)
	if again := reads.Load() - before; again != 0 {
		t.Errorf("the state was read %d times in three looks: a target that the cache does not show yet is taken for deleted", again)
	}

	target := w.look(xiaomi).TargetName()
	w.deleteSecret(target)
	release()
	if !w.eventually(func() bool {
		return w.Get(t.Context(), w.key(target), &corev1.Secret{}) == nil
	}) {
		t.Error("a target that was deleted before the cache showed it is not made again")
	}
	if calls := w.calls(); calls != 1 {
		t.Errorf("the provider got %d calls, want one", calls)
	}
}

// readsOf counts the reads of a Secret from the API server.
func readsOf(name string, direct http.RoundTripper, reads *atomic.Int64) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/secrets/"+name) {
			reads.Add(1)
		}
		return direct.RoundTrip(request)
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
