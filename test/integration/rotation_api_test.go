// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// roundTrip is a function that carries a request to the API server.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// unreliable has a quarter of all requests answered with 429 or 500; of the latter
// every other one was acted on.
type unreliable struct {
	mu     sync.Mutex
	random *rand.Rand
	on     bool
	faults int
}

func (u *unreliable) set(on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.on = on
}

// draw is the status that a request is answered with, 0 for the API server's own,
// and whether the API server sees it.
func (u *unreliable) draw() (status int, acted bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.on {
		return 0, true
	}
	switch u.random.IntN(16) {
	case 0, 1:
		status = http.StatusTooManyRequests
	case 2:
		status, acted = http.StatusInternalServerError, true
	case 3:
		status = http.StatusInternalServerError
	default:
		return 0, true
	}
	u.faults++
	return status, acted
}

func (u *unreliable) wrap(direct http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		status, acted := u.draw()
		if status == 0 {
			return direct.RoundTrip(request)
		}
		if acted && request.Method != http.MethodGet {
			response, err := direct.RoundTrip(request)
			if err != nil {
				return nil, err
			}
			_ = response.Body.Close()
		}
		reason := metav1.StatusReasonInternalError
		if status == http.StatusTooManyRequests {
			reason = metav1.StatusReasonTooManyRequests
		}
		body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, status)
		return &http.Response{
			Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	})
}

func TestAnUnreliableAPIServer(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "429 and 500 on a quarter of all calls")
	const seed = 1
	t.Run("429 and 500 on a quarter of all calls", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 8*simulator.Second)
		u := &unreliable{random: rand.New(rand.NewPCG(seed, seed))}
		w.wire = u.wrap
		w.start()
		u.set(true)
		for _, b := range builtIns() {
			b.create(w, func(spec *v1alpha1.TokenCredentialSpec) { spec.Renewal.Percentage = 30 })
		}
		for _, b := range builtIns() {
			for n := int64(1); n <= 4; n++ {
				if b.statesNoLifetime && n > 1 { // and so lives longer than the test
					w.askForRefresh(b.provider, fmt.Sprint(n))
				}
				w.awaitRefreshes(b.provider, n)
			}
		}
		u.set(false)
		for _, b := range builtIns() {
			// Away from its next refresh, so that what is compared stands still.
			w.edit(b.provider, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })
			w.await(b.provider, "suspended", func(c *v1alpha1.TokenCredential) bool { return c.Status.ObservedGeneration == c.Generation })
			if grant, known := w.simulator.Grant(b.grant); known && w.state(b.provider, "refresh_token") != grant.Current {
				t.Errorf("the state of %s does not hold the provider's current refresh token", b.provider)
			}
		}
		if totals := w.simulator.Totals(); totals.Reuses != 0 || totals.UnknownTokens != 0 {
			t.Errorf("%d spent and %d unknown tokens were sent, want none", totals.Reuses, totals.UnknownTokens)
		}
		if u.faults < 20 {
			t.Errorf("only %d requests failed", u.faults)
		}
	})
}

// bill counts the requests to the API server, but for events, and for the lists
// and watches of the cache.
type bill struct {
	mu     sync.Mutex
	writes int
	reads  int
	items  []string
	seen   int // by awaitQuiet
}

func (b *bill) wrap(direct http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		b.add(request)
		return direct.RoundTrip(request)
	})
}

func (b *bill) add(request *http.Request) {
	path := request.URL.Path
	if strings.Contains(path, "/events") {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case request.Method != http.MethodGet:
		b.writes++
	case request.URL.Query().Has("watch") || request.URL.Query().Has("resourceVersion"):
		return
	case request.URL.Query().Get("limit") == "1":
		return // it is asked now and then how far the cluster has come, which is no refresh's doing
	default:
		b.reads++
	}
	b.items = append(b.items, request.Method+" "+path)
}

// take returns what was counted since it was last taken.
func (b *bill) take() (writes, reads int, items []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	writes, reads, items = b.writes, b.reads, b.items
	b.writes, b.reads, b.items = 0, 0, nil
	return writes, reads, items
}

func TestWhatARefreshCostsTheAPIServer(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name          string
		reason        string
		provider      string
		writes, reads int
		change        func(*simulator.Options)
	}{
		{"SingleUse", "claim, commit, target and status; the state", "xiaomi", 4, 1, nil},
		{"Auto, of an OAuth 2.0 server that rotates", "claim, commit, target and status; the state", "oauth2", 4, 1, nil},
		{"Auto, of an OAuth 2.0 server that never does", "target and status; the state", "oauth2", 2, 1, leavesTokens},
		{"Reusable", "target and status", "mcs", 2, 1, nil},
		{"Reusable, without a refresh token", "target and status", "oauth2-client-credentials", 2, 1, nil},
		{"Reusable, with another refresh token in each reply", "state, target and status", "oracle-commerce-store", 3, 1, nil},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Hour)
			if each.change != nil {
				w.simulator.Configure(each.change)
			}
			counted := &bill{}
			w.wire = counted.wrap
			w.start()
			b := builtInNamed(t, each.provider)
			b.create(w)
			w.awaitRefreshes(b.provider, 1)
			w.awaitFresh(b.provider)
			for round := range 4 {
				w.awaitQuiet(counted)
				counted.take()
				w.askForRefresh(b.provider, fmt.Sprint(round))
				w.awaitRefreshes(b.provider, int64(round)+2)
				w.awaitQuiet(counted)
				if writes, reads, items := counted.take(); writes > each.writes || reads > each.reads {
					t.Errorf("a refresh took %d writes and %d reads, want at most %d and %d\nreason: %s\n%s",
						writes, reads, each.writes, each.reads, each.reason, strings.Join(items, "\n"))
				}
			}
		})
	}
}

// awaitQuiet waits until nothing more is asked of the API server.
func (w *world) awaitQuiet(counted *bill) {
	w.t.Helper()
	quiet := 0
	if !w.eventually(func() bool {
		counted.mu.Lock()
		now := len(counted.items)
		counted.mu.Unlock()
		if quiet++; now != counted.seen {
			counted.seen, quiet = now, 0
		}
		return quiet >= 12 // looks, 25 ms apart
	}) {
		w.t.Fatal("the operator does not come to rest")
	}
}
