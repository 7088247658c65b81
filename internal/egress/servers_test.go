// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rawTLS hands every connection to serve once its handshake is done. Of the
// server that it returns only the URL and the certificate are of use.
func rawTLS(t *testing.T, protocol string, serve func(net.Conn)) *httptest.Server {
	t.Helper()
	certified := startTLS(t, func(http.ResponseWriter, *http.Request) {})
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: certified.TLS.Certificates,
		NextProtos:   []string{protocol},
		MinVersion:   tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	accept(t, listener, func(conn net.Conn) {
		if conn.(*tls.Conn).HandshakeContext(t.Context()) == nil {
			serve(conn)
		}
	})
	certified.URL = "https://" + listener.Addr().String()
	return certified
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// listen accepts connections on a loopback address and hands each to serve,
// then closes it.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, listener, serve)
	return listener.Addr().String()
}

// accept serves a listener until the test ends.
func accept(t *testing.T, listener net.Listener, serve func(net.Conn)) {
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
}

// untilClosed waits until the other side closes.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// readRequest reads one request to its end and gives its method, or "".
func readRequest(reader *bufio.Reader) string {
	request, err := http.ReadRequest(reader)
	if err != nil {
		return ""
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return ""
	}
	return request.Method
}

// startTLS starts a provider that speaks TLS, and HTTP/2 where it is asked to.
func startTLS(t *testing.T, handler http.HandlerFunc, change ...func(*httptest.Server)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet()
	for _, c := range change {
		c(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// clientFor is a client that may call loopback addresses and trusts the server.
func clientFor(t *testing.T, server *httptest.Server, flags ...string) *Client {
	t.Helper()
	flags = append(flags, "--egress-allow-cidrs=127.0.0.0/8")
	if server != nil && server.Certificate() != nil {
		file := filepath.Join(t.TempDir(), "ca.pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--egress-ca-file="+file)
	}
	client, err := New(policyOf(t, flags...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// canaryRequest holds a secret wherever a request can hold one. No error may
// show it.
func canaryRequest(t *testing.T, ctx context.Context, method, address string) *http.Request {
	t.Helper()
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader("refresh_token=canary-body")
	}
	request, err := http.NewRequestWithContext(ctx, method, address+"/canary-path?refresh_token=canary-query", body)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("canary-user", "canary-password")
	request.Header.Set("X-Token", "canary-header")
	return request
}

// checkKind checks what an error says about the request: ErrDenied, ErrNotSent,
// or errUnanswered for neither. It looks for canaries in the whole chain.
func checkKind(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range []error{ErrDenied, ErrNotSent, errUnanswered} {
		wanted := kind == want //nolint:errorlint // which of the three kinds, not what a chain holds
		if got := errors.Is(err, kind); got != wanted {
			t.Errorf("errors.Is(%v, %v) = %v", err, kind, got)
		}
	}
	for _, text := range chain(err) {
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is in the error chain: %s", text)
		}
	}
}

// chain prints an error and everything it wraps, each in three ways.
func chain(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)}
	switch wrapper := err.(type) { //nolint:errorlint // it walks the chain itself
	case interface{ Unwrap() error }:
		texts = append(texts, chain(wrapper.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			texts = append(texts, chain(inner)...)
		}
	}
	return texts
}

func bothModes(t *testing.T, test func(t *testing.T, singleUse bool)) {
	t.Helper()
	for _, singleUse := range []bool{true, false} {
		t.Run(fmt.Sprintf("singleUse=%v", singleUse), func(t *testing.T) {
			t.Parallel()
			test(t, singleUse)
		})
	}
}
