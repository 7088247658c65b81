// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestDoSendsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, singleUse bool) {
		type seen struct {
			Method, URI, Body, Token, Encoding string
			Length                             int64
		}
		var got seen
		server := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = seen{r.Method, r.RequestURI, string(body), r.Header.Get("X-Token"), r.Header.Get("Accept-Encoding"), r.ContentLength}
			w.Header().Set("X-Answer", "yes")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short and stout")
		})
		client := clientFor(t, server)

		reply, err := client.Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), singleUse)
		if err != nil {
			t.Fatal(err)
		}
		want := seen{"POST", "/canary-path?refresh_token=canary-query", "refresh_token=canary-body", "canary-header", "", 25}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("POST (-want +got):\n%s", diff)
		}
		if reply.Status != http.StatusTeapot || string(reply.Body) != "short and stout" || reply.Header.Get("X-Answer") != "yes" {
			t.Errorf("reply = %+v", reply)
		}

		if _, err := client.Do(canaryRequest(t, t.Context(), http.MethodGet, server.URL), singleUse); err != nil {
			t.Fatal(err)
		}
		want.Method, want.Body, want.Length = "GET", "", 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("GET (-want +got):\n%s", diff)
		}
	})
}

func TestConnections(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason    string
		method    string
		singleUse bool
		conns     int64
		protocol  string
	}{
		"single use":      {"net/http resends nothing on a fresh connection", http.MethodPost, true, 3, "HTTP/1.1"},
		"shared":          {"a body that cannot be made again keeps net/http from resending", http.MethodPost, false, 1, "HTTP/2.0"},
		"without a body":  {"net/http would replay it on a shared connection", http.MethodGet, false, 3, "HTTP/1.1"},
		"both of the two": {"single use and without a body", http.MethodGet, true, 3, "HTTP/1.1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var (
				conns    atomic.Int64
				protocol atomic.Value
				resumed  atomic.Bool
			)
			server := startTLS(t, func(_ http.ResponseWriter, r *http.Request) {
				protocol.Store(r.Proto)
				resumed.Store(r.TLS.DidResume)
			}, func(server *httptest.Server) {
				server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						conns.Add(1)
					}
				}
			})
			client := clientFor(t, server)
			for range 3 {
				if _, err := client.Do(canaryRequest(t, t.Context(), test.method, server.URL), test.singleUse); err != nil {
					t.Fatal(err)
				}
			}
			if conns.Load() != test.conns || protocol.Load() != test.protocol {
				t.Errorf("%d connections of %v, want %d of %s\nreason: %s", conns.Load(), protocol.Load(), test.conns, test.protocol, test.reason)
			}
			if own := test.conns > 1; own && !resumed.Load() {
				t.Error("the last connection did not resume the TLS session of an earlier one")
			}
		})
	}
}

func TestARedirectIsAReply(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a redirect to another host")
	bothModes(t, func(t *testing.T, singleUse bool) {
		var bytesSeen atomic.Int64
		target := listen(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			bytesSeen.Add(1)
		})
		for _, status := range []int{301, 302, 303, 307, 308} {
			server := startTLS(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://"+target+"/stolen")
				w.WriteHeader(status)
			})
			reply, err := clientFor(t, server).Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), singleUse)
			if err != nil || reply.Status != status {
				t.Errorf("Do = %+v, %v; want status %d", reply, err, status)
			}
		}
		if bytesSeen.Load() != 0 {
			t.Error("something was sent to where the redirect points")
		}
	})
}

// An address that is denied only when it is dialled is what a name that changes
// its mind would come to.
func TestTheDialledAddressIsChecked(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a name that resolves to them")
	bothModes(t, func(t *testing.T, singleUse bool) {
		var reached atomic.Bool
		address := listen(t, func(net.Conn) { reached.Store(true) })
		_, port, _ := net.SplitHostPort(address)
		client, err := New(policyOf(t, "--egress-resolve=auth.example.com:443=localhost:"+port))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Do(canaryRequest(t, t.Context(), http.MethodPost, "https://auth.example.com"), singleUse)
		checkKind(t, err, ErrDenied)
		if want := "of auth.example.com is loopback; allow it with --egress-allow-cidrs="; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Do = %v, want it to hold %q", err, want)
		}
		if reached.Load() {
			t.Error("a connection was made")
		}
	})
}

func TestResolveSendsAHostElsewhere(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, singleUse bool) {
		server := startTLS(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
		client := clientFor(t, server, "--egress-resolve=example.com:443="+server.Listener.Addr().String())
		reply, err := client.Do(canaryRequest(t, t.Context(), http.MethodPost, "https://example.com"), singleUse)
		if err != nil || string(reply.Body) != "example.com" {
			t.Errorf("Do = %+v, %v; want the server to be called example.com, with its certificate checked", reply, err)
		}
	})
}

func TestPlainHTTPWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, singleUse bool) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
		t.Cleanup(server.Close)
		client := clientFor(t, nil, "--egress-allow-plain-http="+server.Listener.Addr().String())
		reply, err := client.Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), singleUse)
		if err != nil || string(reply.Body) != "ok" {
			t.Errorf("Do = %+v, %v", reply, err)
		}
		_, err = clientFor(t, nil).Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), singleUse)
		checkKind(t, err, ErrDenied)
	})
}

func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a proxy in the environment")
	client := clientFor(t, nil)
	if client.pools.none.own.Proxy != nil || client.pools.none.shared.Proxy != nil {
		t.Error("a proxy would be dialled in the provider's place, and its address checked")
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "one byte a second")
	faults.Shows(t, "a timeout")
	ctx, cancel := bounded(t.Context())
	defer cancel()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > MaxExchange {
		t.Errorf("deadline %v, %v; want one within %v", deadline, ok, MaxExchange)
	}
	earlier, cancelEarlier := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelEarlier()
	again, cancelAgain := bounded(earlier)
	defer cancelAgain()
	if deadline, _ := again.Deadline(); !deadline.Equal(time.Unix(0, 0)) {
		t.Errorf("deadline %v, want the context's own", deadline)
	}
}

func TestCAFiles(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		empty:        empty + " holds no certificate in PEM form",
		"/dev/null/": "--egress-ca-file: open /dev/null/",
	} {
		if _, err := New(Policy{CAFiles: Files{file}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New with %s = %v, want it to hold %q", file, err, want)
		}
	}
}

// A shared connection that turns out to be closed before a byte was written
// costs nothing: the request goes out on another.
func TestAStaleConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := startTLS(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) },
		func(server *httptest.Server) { server.EnableHTTP2 = false })
	client := clientFor(t, server)

	var conn *countedConn
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn = info.Conn.(*tls.Conn).NetConn().(*countedConn)
	}})
	if _, err := client.Do(canaryRequest(t, ctx, http.MethodPost, server.URL), false); err != nil {
		t.Fatal(err)
	}
	if !conn.sealAt(conn.count()) {
		t.Fatal("the connection is in use")
	}
	if _, err := client.Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), false); err != nil {
		t.Errorf("Do on a stale connection = %v", err)
	}
	if requests.Load() != 2 {
		t.Errorf("the server saw %d requests, want 2", requests.Load())
	}
}
