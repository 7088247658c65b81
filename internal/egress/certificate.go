// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"container/list"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
)

// certificateKey is where a context carries a client certificate.
type certificateKey struct{}

// WithCertificate has requests of this context show a client certificate to the server
// that they go to (mutual TLS, RFC 8705). It is not to be changed any more.
func WithCertificate(ctx context.Context, certificate *tls.Certificate) context.Context {
	if certificate == nil {
		return ctx
	}
	return context.WithValue(ctx, certificateKey{}, certificate)
}

// CertificateOf is the client certificate that requests of a context show; nil: none.
func CertificateOf(ctx context.Context) *tls.Certificate {
	certificate, _ := ctx.Value(certificateKey{}).(*tls.Certificate)
	return certificate
}

// ErrCertificate: the server ended the handshake for the client certificate, or for the
// lack of one. No server that does so has read a request. It is an ErrNotSent that says
// nothing of the host, which is there and answers.
var ErrCertificate = fmt.Errorf("%w: the client certificate was not accepted", ErrNotSent)

// transports are what requests of one client certificate go over, or those without any:
// a connection says who is asking, so no other certificate may share it.
type transports struct {
	own    *http.Transport // a connection per request
	shared *http.Transport // pooled connections
}

// maxCertificates is how many certificates have connections of their own. A transport
// without connections takes some KiB; the one that was not used for longest goes, and
// makes room for a certificate that has replaced it.
const maxCertificates = 256

// pools has the transports of each client certificate. The zero value is not of use.
type pools struct {
	open func(*tls.Certificate) transports
	none transports

	mu    sync.Mutex
	known map[[sha256.Size]byte]*list.Element // of pool
	used  list.List                           // front: used last
}

type pool struct {
	key [sha256.Size]byte
	transports
}

func newPools(open func(*tls.Certificate) transports) *pools {
	return &pools{open: open, none: open(nil), known: map[[sha256.Size]byte]*list.Element{}}
}

// of a certificate; nil: of requests that show none.
func (p *pools) of(certificate *tls.Certificate) transports {
	if certificate == nil {
		return p.none
	}
	key := digestOf(certificate)
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[key]; known != nil {
		p.used.MoveToFront(known)
		return known.Value.(pool).transports
	}
	opened := pool{key, p.open(certificate)}
	p.known[key] = p.used.PushFront(opened)
	if p.used.Len() > maxCertificates {
		oldest := p.used.Remove(p.used.Back()).(pool)
		delete(p.known, oldest.key)
		// What is in flight ends by itself, and its connection after idleTimeout.
		oldest.shared.CloseIdleConnections()
	}
	return opened.transports
}

// closeIdle closes the connections that are kept for later requests.
func (p *pools) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.none.shared.CloseIdleConnections()
	for each := p.used.Front(); each != nil; each = each.Next() {
		each.Value.(pool).shared.CloseIdleConnections()
	}
}

// digestOf a certificate and its chain. A certificate names its key, so that two with
// the same digest have the same key.
func digestOf(certificate *tls.Certificate) (sum [sha256.Size]byte) {
	hash := sha256.New()
	for _, each := range certificate.Certificate {
		_, _ = fmt.Fprintf(hash, "%d:", len(each))
		_, _ = hash.Write(each)
	}
	hash.Sum(sum[:0])
	return sum
}

// showing has a handshake show a client certificate to every server that asks for one;
// nil: none, and it is noted that the server asked. Left to itself, crypto/tls shows none
// to a server whose list of authorities is not complete, and then nobody could tell why
// it is refused.
func showing(certificate *tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if a, ok := info.Context().Value(attemptKey{}).(*attempt); ok {
			a.noteDemand()
		}
		if certificate == nil {
			return &tls.Certificate{}, nil
		}
		return certificate, nil
	}
}

// What a server answers to a client that shows no certificate: one of the first two up to
// TLS 1.2, and the last since.
const (
	handshakeFailure    tls.AlertError = 40
	badCertificate      tls.AlertError = 42
	certificateRequired tls.AlertError = 116
)

// aboutCertificates are the alerts by which a server refuses a client's certificate, and
// what they say (RFC 8446 section 6.2, RFC 5246 section 7.2.2).
var aboutCertificates = map[tls.AlertError]string{
	badCertificate:      "it is damaged, or not signed by whom the server trusts",
	43:                  "it is not of a kind that the server takes",
	44:                  "it was revoked",
	45:                  "it has expired, or is not valid yet",
	46:                  "the server could not judge it",
	48:                  "it is signed by an authority that the server does not trust",
	49:                  "its holder may not use the server",
	certificateRequired: "the server takes it for none",
}

// refusedCertificate turns the error of a handshake that a server ended for the client
// certificate into what is said of it; nil for any other. With TLS 1.3 the client only
// learns of it after its own side of the handshake is done, and the request may be on
// its way by then: into a connection that the server has given up without reading.
func (a *attempt) refusedCertificate(host string, err error, shown bool) error {
	demanded, isFirst := a.demand()
	alert := alertIn(err)
	if !demanded || !isFirst || alert == 0 {
		return nil
	}
	switch meaning, isOfIt := aboutCertificates[alert]; {
	case !shown && (alert == handshakeFailure || alert == badCertificate || alert == certificateRequired):
		return &failure{kind: ErrCertificate, message: host + " demands a client certificate, and none was shown"}
	case shown && isOfIt:
		return &failure{kind: ErrCertificate, message: host + " refused the client certificate: " + meaning}
	}
	return nil
}

// alertIn an error by which the other side ended a TLS connection; 0: there is none. The
// type that crypto/tls has for it is its own, and its text is that of tls.AlertError.
func alertIn(err error) tls.AlertError {
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Op != "remote error" {
		return 0
	}
	for _, alert := range append(slices.Collect(maps.Keys(aboutCertificates)), handshakeFailure) {
		if operation.Err.Error() == alert.Error() {
			return alert
		}
	}
	return 0
}

// attemptKey is where the context of a handshake carries the attempt that it is for.
type attemptKey struct{}

// noteDemand notes that the server has asked for a client certificate.
func (a *attempt) noteDemand() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.demanded = true
}

// demand reports whether the server has asked for a client certificate, and whether the
// request was the first on its connection, so that an alert answers the handshake.
func (a *attempt) demand() (demanded, isFirst bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.demanded, !a.reused
}
