// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs client certificates for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of " + t.Name()}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// issue a client certificate for a name, for so long.
func (a authority) issue(t *testing.T, name string, life time.Duration) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// demanding is a server that lets in whom an authority has signed. It answers with the
// name in the client's certificate, and counts its connections.
func demanding(t *testing.T, trusted authority, version uint16) (server *httptest.Server, connections func() int) {
	t.Helper()
	var (
		mu   sync.Mutex
		seen = map[string]bool{}
	)
	server = startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RemoteAddr] = true
		mu.Unlock()
		_, _ = fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}, func(server *httptest.Server) {
		server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted.pool(), MinVersion: version, MaxVersion: version}
	})
	return server, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
}

// post sends a request with a client certificate.
func post(t *testing.T, client *Client, address string, certificate *tls.Certificate, singleUse bool) (*Reply, error) {
	t.Helper()
	return client.Do(canaryRequest(t, WithCertificate(within(t, 30*time.Second), certificate), http.MethodPost, address), singleUse)
}

func versions(t *testing.T, test func(t *testing.T, version uint16, singleUse bool)) {
	t.Helper()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothModes(t, func(t *testing.T, singleUse bool) { test(t, version, singleUse) })
		})
	}
}

func TestAClientCertificateIsShownToWhoAsksForIt(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16, singleUse bool) {
		trusted := newAuthority(t)
		server, _ := demanding(t, trusted, version)
		reply, err := post(t, clientFor(t, server), server.URL, trusted.issue(t, "shop", time.Hour), singleUse)
		if err != nil || string(reply.Body) != "shop" {
			t.Errorf("got %v and %v, want the name in the certificate", reply, err)
		}
	})
}

// TestARefusedClientCertificateIsToldFromAHostThatIsNotThere calls servers that end the
// handshake for what the client shows.
func TestARefusedClientCertificateIsToldFromAHostThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		shown        func(t *testing.T, trusted authority) *tls.Certificate
		want         string
	}{
		{"none is shown", "what is missing is to be said", func(*testing.T, authority) *tls.Certificate { return nil }, "demands a client certificate, and none was shown"},
		{"one of another authority", "the host is there: to say that it is not would mislead", func(t *testing.T, _ authority) *tls.Certificate {
			return newAuthority(t).issue(t, "stranger", time.Hour)
		}, "refused the client certificate"},
		{"one that has expired", "the host is there: to say that it is not would mislead", func(t *testing.T, trusted authority) *tls.Certificate {
			return trusted.issue(t, "shop", -time.Hour)
		}, "refused the client certificate"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			versions(t, func(t *testing.T, version uint16, singleUse bool) {
				trusted := newAuthority(t)
				server, connections := demanding(t, trusted, version)
				shown := each.shown(t, trusted)
				if shown == nil && version == tls.VersionTLS13 && !singleUse {
					return // over HTTP/2 the alert is lost now and then, and a token that works again is sent again
				}
				_, err := post(t, clientFor(t, server), server.URL, shown, singleUse)
				checkKind(t, err, ErrNotSent)
				if !errors.Is(err, ErrCertificate) || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), each.want) {
					t.Errorf("got %v, want one that says %q\nreason: %s", err, each.want, each.reason)
				}
				if connections() > 0 {
					t.Error("the server has read a request, so that the token in it may be spent")
				}
			})
		})
	}
}

// TestCertificatesShareNoConnection calls one server as several, over connections that are
// kept.
func TestCertificatesShareNoConnection(t *testing.T) {
	t.Parallel()
	trusted := newAuthority(t)
	server, connections := demanding(t, trusted, tls.VersionTLS13)
	client := clientFor(t, server)
	shop, bank := trusted.issue(t, "shop", time.Hour), trusted.issue(t, "bank", time.Hour)
	renewed := trusted.issue(t, "shop, renewed", time.Hour)
	for i, each := range []struct {
		certificate *tls.Certificate
		want        string
	}{{shop, "shop"}, {bank, "bank"}, {shop, "shop"}, {bank, "bank"}, {renewed, "shop, renewed"}} {
		reply, err := post(t, client, server.URL, each.certificate, false)
		if err != nil || string(reply.Body) != each.want {
			t.Fatalf("call %d: the server knows the client as %v (%v), want %s", i, reply, err, each.want)
		}
	}
	if got := connections(); got != 3 {
		t.Errorf("%d connections were made for three certificates, want one each, which is kept", got)
	}
	if reply, err := post(t, client, server.URL, nil, true); !errors.Is(err, ErrCertificate) {
		t.Errorf("got %v and %v: a request without a certificate went over a connection of one", reply, err)
	}
}

func TestTheCertificateUsedLongestAgoMakesRoomForAnother(t *testing.T) {
	t.Parallel()
	pools := newPools(func(*tls.Certificate) transports { return transports{new(http.Transport), new(http.Transport)} })
	certificate := func(i int) *tls.Certificate { return &tls.Certificate{Certificate: [][]byte{fmt.Append(nil, i)}} }
	first := pools.of(certificate(0))
	for i := range maxCertificates {
		pools.of(certificate(i))
	}
	pools.of(certificate(0))
	second := pools.of(certificate(1))
	for i := range 2 {
		pools.of(certificate(maxCertificates + i))
	}
	if known := len(pools.known); known != maxCertificates || pools.used.Len() != known {
		t.Errorf("%d certificates have connections, want %d at most", known, maxCertificates)
	}
	if pools.of(certificate(0)) != first {
		t.Error("a certificate that was used lately lost its connections")
	}
	if pools.of(certificate(1)) != second {
		t.Error("another that was used lately lost them")
	}
	for i := range 2 * maxCertificates {
		pools.of(certificate(1000 + i))
	}
	if pools.of(certificate(0)) == first {
		t.Error("a certificate that is not used any more keeps its connections for ever")
	}
}

func TestWithoutACertificateAContextStaysAsItIs(t *testing.T) {
	t.Parallel()
	if ctx := t.Context(); WithCertificate(ctx, nil) != ctx || CertificateOf(context.WithoutCancel(ctx)) != nil {
		t.Error("a context carries a certificate that nobody gave it")
	}
}
