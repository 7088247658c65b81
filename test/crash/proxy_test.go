// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// proxy stands between a pod and the API server. It lets everything through, but
// for what a test holds or refuses, so that a process can be met at an exact
// moment.
type proxy struct {
	t       *testing.T
	address string

	mu       sync.Mutex
	forward  http.Handler
	holds    []*hold
	refusals []*refusal
	// connected ends with the connections that are open.
	connected  context.Context
	disconnect context.CancelFunc
}

// newProxy starts a proxy, which ends with the test. Whoever connects to it has
// all rights.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, address: "http://" + listener.Addr().String()}
	p.forwardTo(apiserver.Config)
	p.connected, p.disconnect = context.WithCancel(context.Background())
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// forwardTo has the proxy stand between its pod and another API server.
func (p *proxy) forwardTo(config *rest.Config) {
	p.t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		p.t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches are to be heard of at once
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// forwarder takes requests to the API server as it is now.
func (p *proxy) forwarder() http.Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forward
}

// ServeHTTP takes a request to the API server, or does what a test has ordered.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, err := inspect(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	held, refused, connected := p.orders(asked)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(connected, cancel)()
	r = r.WithContext(ctx)
	switch {
	case refused != nil:
		refused.answer(w)
	case held == nil:
		p.forwarder().ServeHTTP(w, r)
	case held.applied:
		reply := httptest.NewRecorder()
		p.forwarder().ServeHTTP(reply, r)
		held.wait(ctx)
		maps.Copy(w.Header(), reply.Header())
		w.WriteHeader(reply.Code)
		_, _ = w.Write(reply.Body.Bytes())
	default:
		held.wait(ctx)
		p.forwarder().ServeHTTP(w, r)
	}
}

// orders that a request meets. A hold is for one request.
func (p *proxy) orders(asked request) (*hold, *refusal, context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, each := range p.refusals {
		if each.kind(asked) {
			return nil, each, p.connected
		}
	}
	for i, each := range p.holds {
		if each.kind(asked) {
			p.holds = slices.Delete(p.holds, i, i+1)
			return each, nil, p.connected
		}
	}
	return nil, nil, p.connected
}

// cut ends the connections that are open, watches and held requests among them.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disconnect()
	p.connected, p.disconnect = context.WithCancel(context.Background())
}

// hold is one request that waits on its way, or whose reply does.
type hold struct {
	t       *testing.T
	kind    kind
	applied bool
	there   chan struct{}
	onward  chan struct{}
	dropped chan struct{}
}

// hold keeps the next request of a kind from the API server; or, applied, its
// reply from whoever asked.
func (p *proxy) hold(kind kind, applied bool) *hold {
	held := &hold{t: p.t, kind: kind, applied: applied,
		there: make(chan struct{}), onward: make(chan struct{}), dropped: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds = append(p.holds, held)
	return held
}

// wait keeps a request until the test says what becomes of it.
func (h *hold) wait(ctx context.Context) {
	close(h.there)
	select {
	case <-h.onward:
		return
	case <-h.dropped:
	case <-ctx.Done():
	}
	panic(http.ErrAbortHandler)
}

// await waits until the request is there.
func (h *hold) await() {
	h.t.Helper()
	select {
	case <-h.there:
	case <-time.After(patience):
		h.t.Fatal("the request that is to be held never came")
	}
}

// release lets the request, or its reply, go on.
func (h *hold) release() { close(h.onward) }

// drop ends its connection.
func (h *hold) drop() { close(h.dropped) }

// refusal answers every request of a kind in the API server's place.
type refusal struct {
	proxy  *proxy
	kind   kind
	status int
	count  atomic.Int64
}

// refuse answers requests of a kind with a status, or, for 0, hangs up on them,
// until it is lifted.
func (p *proxy) refuse(kind kind, status int) *refusal {
	refused := &refusal{proxy: p, kind: kind, status: status}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals = append(p.refusals, refused)
	return refused
}

func (r *refusal) answer(w http.ResponseWriter) {
	r.count.Add(1)
	if r.status == 0 {
		panic(http.ErrAbortHandler)
	}
	http.Error(w, "refused by the test", r.status)
}

// lift ends the refusal.
func (r *refusal) lift() {
	r.proxy.mu.Lock()
	defer r.proxy.mu.Unlock()
	r.proxy.refusals = slices.DeleteFunc(r.proxy.refusals, func(other *refusal) bool { return other == r })
}
