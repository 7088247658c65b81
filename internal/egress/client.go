// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/sync/semaphore"
)

const (
	// MaxExchange bounds one exchange, from resolving the name to the end of the
	// reply. A context's earlier deadline counts.
	MaxExchange = 30 * time.Second

	// readingBudget is how much of large replies is in memory at once, in bytes: as
	// much as the default for the workers all together. Where the flag allows larger
	// ones, they wait their turn.
	readingBudget = 16 << 20

	// smallReply is how much of a reply is read without a part of that budget, so that
	// an honest one never waits for large ones.
	smallReply = 16 << 10

	maxHeader = 64 << 10 // bytes of a reply's header

	// idleTimeout closes an idle connection before the provider does: 5 s is the
	// shortest that servers commonly keep one, and a request that meets the
	// closing of its connection has no clear outcome.
	idleTimeout = 4 * time.Second

	idlePerHost = 64
	idleInAll   = 512
	tlsSessions = 1024
	// certifiedSessions are those of one client certificate, which is known to few servers.
	certifiedSessions = 8
)

// Client sends requests, each once, to where its policy allows. It is safe for
// concurrent use.
type Client struct {
	policy Policy
	pools  *pools

	limit   int64               // bytes of a reply
	reading *semaphore.Weighted // the budget of all that are being read
}

// Reply is a provider's reply.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte // decompressed, as far as it is compressed
	// CutShort tells that the body did not come to its end: Body is its start.
	CutShort bool
	// Flaw says what was wrong with the coding of the body; empty: nothing.
	Flaw string
}

// New makes a client. The error is about a CA file and says which.
func New(policy Policy) (*Client, error) {
	roots, err := authorities(policy.CAFiles)
	if err != nil {
		return nil, err
	}
	client := &Client{policy: policy, limit: int64(cmp.Or(policy.MaxReply, DefaultMaxReply)), reading: semaphore.NewWeighted(readingBudget)}
	client.pools = newPools(func(certificate *tls.Certificate) transports { return client.transports(roots, certificate) })
	return client, nil
}

// transports of a client certificate; nil: of none. A session that is resumed is one of
// the certificate that began it (RFC 8446 section 2.2), so sessions are not shared either.
func (c *Client) transports(roots *x509.CertPool, certificate *tls.Certificate) transports {
	sessions := tlsSessions
	if certificate != nil {
		sessions = certifiedSessions
	}
	cache := tls.NewLRUClientSessionCache(sessions)
	transport := func() *http.Transport {
		return &http.Transport{
			Proxy:       nil, // see the package comment
			DialContext: c.policy.dial,
			TLSClientConfig: &tls.Config{
				MinVersion:           tls.VersionTLS12,
				RootCAs:              roots,
				ClientSessionCache:   cache,
				GetClientCertificate: showing(certificate),
			},
			TLSHandshakeTimeout:    dialTimeout,
			DisableCompression:     true, // readBody decompresses, within its bounds
			MaxResponseHeaderBytes: maxHeader,
			Protocols:              new(http.Protocols),
		}
	}
	own, shared := transport(), transport()

	own.DisableKeepAlives = true
	own.Protocols.SetHTTP1(true)

	shared.Protocols.SetHTTP1(true)
	// Over HTTP/2 the alert by which a server refuses a certificate is lost now and then.
	shared.Protocols.SetHTTP2(certificate == nil)
	shared.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	shared.MaxIdleConns = idleInAll
	shared.MaxIdleConnsPerHost = idlePerHost
	shared.IdleConnTimeout = idleTimeout
	return transports{own, shared}
}

// authorities are the system's and those in the files; nil stands for the
// system's alone.
func authorities(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", caFileFlag, err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--%s: %s holds no certificate in PEM form", caFileFlag, file)
		}
	}
	return pool, nil
}

// Check tells whether a request may be sent, as far as can be said without
// resolving its host: an error is an ErrDenied.
func (c *Client) Check(request *http.Request) error { return c.policy.Check(request.URL) }

// Do sends a request once and reads the whole reply, whatever its status. It
// follows no redirect and never resends, is bounded by MaxExchange and the
// request's context, and closes the request's body. With singleUse the request
// has a connection of its own over HTTP/1.1; without it connections are shared,
// for requests with a body. The context says which client certificate is shown
// (WithCertificate).
//
// An error is an ErrDenied (nothing was sent), an ErrNotSent, or else bytes may
// have been sent. It holds no path or query of the URL, no header and no body.
// Where a reply began and was cut short, what came of it is returned beside the
// error: it may hold a token that is nowhere else.
func (c *Client) Do(request *http.Request, singleUse bool) (*Reply, error) {
	body, err := readAndClose(request.Body)
	if err != nil {
		return nil, &failure{kind: ErrNotSent, message: "the request's body could not be read"}
	}
	if err := c.Check(request); err != nil {
		return nil, err
	}
	if err := checkHeader(request.Header); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(request.Context())
	defer cancel()

	over := c.pools.of(CertificateOf(ctx))
	if !singleUse && len(body) > 0 {
		reply, stale, err := c.exchange(ctx, over.shared, request, body)
		if !stale {
			return reply, err
		}
		// The provider had closed the connection before a byte was written.
	}
	reply, _, err := c.exchange(ctx, over.own, request, body)
	return reply, err
}

// CloseIdleConnections closes connections that are kept for later requests.
func (c *Client) CloseIdleConnections() { c.pools.closeIdle() }

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, MaxExchange)
}

// exchange sends the request over one transport. It is stale where nothing was
// sent because a shared connection turned out to be closed.
func (c *Client) exchange(ctx context.Context, transport *http.Transport, request *http.Request, body []byte) (reply *Reply, stale bool, err error) {
	watched := new(attempt)
	response, err := transport.RoundTrip(outgoing(watched.watch(ctx), request, body))
	host := request.URL.Host
	if err != nil {
		var refused *failure
		if refused := watched.refusedCertificate(host, err, CertificateOf(ctx) != nil); refused != nil {
			return nil, false, refused
		}
		switch {
		case !watched.nothingSent():
			return nil, false, unanswered(host, err)
		case errors.As(err, &refused):
			return nil, false, refused
		default:
			return nil, watched.reused && ctx.Err() == nil, notSent(host, err)
		}
	}
	defer func() { _ = response.Body.Close() }()
	content, flaw, err := c.readBody(ctx, response)
	reply = &Reply{Status: response.StatusCode, Header: response.Header, Body: content, CutShort: err != nil, Flaw: flaw}
	if err != nil {
		err = unanswered(host, err)
	}
	return reply, false, err
}

// outgoing is the request as it is sent: with a body that net/http can measure
// and cannot make again.
func outgoing(ctx context.Context, request *http.Request, body []byte) *http.Request {
	sent := request.Clone(ctx)
	sent.GetBody = nil
	sent.Body, sent.ContentLength = nil, 0
	if len(body) > 0 {
		sent.Body, sent.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return sent
}

func readAndClose(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	content, err := io.ReadAll(body)
	return content, errors.Join(err, body.Close())
}

// checkHeader names the header that HTTP cannot carry, such as one with a line
// feed in it, without its value.
func checkHeader(header http.Header) error {
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) {
			return &failure{kind: ErrNotSent, message: "the name of a header holds a character that HTTP does not allow there"}
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return &failure{kind: ErrNotSent, message: "the header " + name + " holds a character that HTTP does not allow, such as a line feed"}
			}
		}
	}
	return nil
}
