// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestTheWayToTheProvider(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "a DNS failure", promise: "nothing was sent: a plain retry", shows: []string{"DNS, dial and TLS failures"},
			play: func(w *world) { w.unreachable("nobody.invalid:443") },
		},
		{
			name: "a dial failure", promise: "nothing was sent: a plain retry", shows: []string{"DNS, dial and TLS failures"},
			play: func(w *world) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				must(w.t, err)
				must(w.t, listener.Close())
				w.unreachable(listener.Addr().String())
			},
		},
		{
			name: "a TLS failure", promise: "nothing was sent: a plain retry", shows: []string{"DNS, dial and TLS failures"},
			play: func(w *world) {
				var requests atomic.Int32
				impostor := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
				w.t.Cleanup(impostor.Close)
				w.unreachable(impostor.Listener.Addr().String())
				if requests.Load() != 0 {
					w.t.Error("a request reached a server that cannot say who it is")
				}
			},
		},
		{
			name: "a name that resolves to a private address", promise: "refused, and nothing is spent",
			shows: []string{"a name that resolves to them"},
			play: func(w *world) {
				operator := w.start()
				w.fresh()
				operator.shutDown()
				allowed := w.policy
				var reached atomic.Bool
				private := httptest.NewUnstartedServer(nil)
				private.Config.ConnState = func(net.Conn, http.ConnState) { reached.Store(true) }
				private.StartTLS()
				w.t.Cleanup(private.Close)
				_, port, err := net.SplitHostPort(private.Listener.Addr().String())
				must(w.t, err)
				w.policy = egress.Policy{CAFiles: allowed.CAFiles}
				must(w.t, w.policy.Resolve.Set(simulator.XiaomiHost+":443=localhost:"+port))
				operator = w.start()
				calls := w.calls()
				w.fallDue()
				_, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.EgressDeniedReason)
				if !strings.Contains(refreshed.Message, "--egress-allow-cidrs") {
					w.t.Errorf("the message does not say what to do: %s", refreshed.Message)
				}
				w.backOnTheWay(operator, allowed, calls)
				if reached.Load() {
					w.t.Error("a connection was made")
				}
			},
		},
	})
}

// unreachable has the provider's name lead to an address where it is not, and
// then again to where it is.
func (w *world) unreachable(address string) {
	w.t.Helper()
	operator := w.start()
	w.fresh()
	operator.shutDown()
	right := w.policy
	w.policy = egress.Policy{CAFiles: right.CAFiles, AllowCIDRs: right.AllowCIDRs}
	must(w.t, w.policy.Resolve.Set(simulator.XiaomiHost+":443="+address))
	operator = w.start()
	calls := w.calls()
	w.fallDue()
	_, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	if !strings.Contains(refreshed.Message, "could not be reached") {
		w.t.Errorf("the message does not say what happened: %s", refreshed.Message)
	}
	w.await(xiaomi, "two failures", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts >= 2 })
	w.backOnTheWay(operator, right, calls)
}

// backOnTheWay checks that a way which was closed has cost nothing, and opens it.
func (w *world) backOnTheWay(operator *operator, right egress.Policy, calls int64) {
	w.t.Helper()
	failures := w.look(xiaomi).Status.FailedAttempts
	w.await(xiaomi, "another failure", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts > failures })
	operator.shutDown()
	if w.isStalled() || w.state(xiaomi, "attempt") != "" || w.calls() != calls {
		w.t.Errorf("a claim stays, the credential is stalled or the provider was called although nothing was sent:\n%s", describe(w.look(xiaomi)))
	}
	w.kept(simulator.DemoXiaomiGrant, 0)
	w.policy = right
	w.start()
	w.awaitRefreshes(xiaomi, 2)
	w.keptAndFresh()
	w.spentOnce(2)
}

// redirectElsewhere answers with a redirect to a server that counts what comes.
func redirectElsewhere(w *world) {
	var requests atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	w.t.Cleanup(elsewhere.Close)
	w.trust(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: elsewhere.Certificate().Raw}))
	// Its certificate is for example.com.
	must(w.t, w.policy.Resolve.Set("example.com:443="+elsewhere.Listener.Addr().String()))
	w.staysUnknown(reply(http.StatusTemporaryRedirect, http.Header{"Location": {"https://example.com/oauth2/token"}}, ""))
	if requests.Load() != 0 {
		w.t.Errorf("%d requests went to where the redirect points", requests.Load())
	}
}
