// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// dialTimeout bounds resolving and connecting, and the TLS handshake, each.
const dialTimeout = 10 * time.Second

// dial connects to an address, HOST:PORT, for the HTTP transport. Every address
// that it tries is checked just before it is connected to.
func (p *Policy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host, port = canonicalHost(host), canonicalPort(port)
	if elsewhere, found := p.Resolve.lookup(host, port); found {
		address = net.JoinHostPort(elsewhere.Host, elsewhere.Port)
	}
	dialer := net.Dialer{
		Timeout: dialTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			dialled, err := netip.ParseAddrPort(address)
			if err != nil {
				return denied("the address that %s resolves to cannot be read", host)
			}
			return p.checkAddress(dialled.Addr(), host)
		},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn}, nil
}

// countedConn counts the bytes that were handed to it for writing, so that an
// error can tell whether any byte of a request left.
type countedConn struct {
	net.Conn
	mutex   sync.Mutex
	written int64
	sealed  bool
	until   time.Time // nothing is written after it; zero: no bound
}

var errSealed = errors.New("the connection is given up")

// Write implements io.Writer. It counts before it writes. It looks at the clock
// itself: the timers of a process that was frozen fire some time after it goes on.
func (c *countedConn) Write(bytes []byte) (int, error) {
	c.mutex.Lock()
	if c.sealed || !c.until.IsZero() && time.Now().After(c.until) { //nolint:forbidigo // net/http sets the deadline by the same clock
		c.mutex.Unlock()
		return 0, errSealed
	}
	c.written += int64(len(bytes))
	c.mutex.Unlock()
	return c.Conn.Write(bytes)
}

func (c *countedConn) count() int64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.written
}

// bound sets until when may be written.
func (c *countedConn) bound(until time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.until = until
}

// sealAt makes sure that nothing is written after the first mark bytes. It is
// false where more has been written already.
func (c *countedConn) sealAt(mark int64) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.sealed = c.sealed || c.written == mark
	return c.written == mark
}

// attempt watches one round trip, and knows whether anything of it was sent.
type attempt struct {
	mutex  sync.Mutex
	until  time.Time // when its context ends
	conn   *countedConn
	mark   int64 // what conn had written before
	reused bool
	sent   bool
	// demanded is true where the server asked for a client certificate.
	demanded bool
}

// watch adds the attempt's hooks to a context.
func (a *attempt) watch(ctx context.Context) context.Context {
	a.until, _ = ctx.Deadline()
	ctx = context.WithValue(ctx, attemptKey{}, a)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.gotConn})
}

// gotConn is called when a connection is about to carry the request.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.sent = a.sent || a.conn != nil && !a.conn.sealAt(a.mark)
	a.reused = info.Reused
	conn, shared := info.Conn, false
	if secured, ok := conn.(*tls.Conn); ok {
		// A connection of HTTP/2 carries other requests too: its count says
		// nothing about this one.
		shared = secured.ConnectionState().NegotiatedProtocol == "h2"
		a.sent = a.sent || shared
		conn = secured.NetConn()
	}
	counted, ok := conn.(*countedConn)
	if !ok {
		a.sent = true
		return
	}
	a.conn, a.mark = counted, counted.count()
	if !shared {
		counted.bound(a.until)
	}
}

// nothingSent tells whether no byte of the request was written, and sees to it
// that none will be.
func (a *attempt) nothingSent() bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return !a.sent && (a.conn == nil || a.conn.sealAt(a.mark))
}
