// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const tokenPath = "/oauth2/token"

// provides is an OAuth server at an address of its own, with a page that grants access at
// once. Its tokens are the simulator's, which has no such page.
type provides struct {
	url         string
	certificate []byte // in PEM
}

// startProvider serves one until the test ends.
func startProvider(t *testing.T) *provides {
	t.Helper()
	code, refreshToken := rand.Text(), newGrant(t, "of the page "+rand.Text()).RefreshToken
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		back, err := url.Parse(r.FormValue("redirect_uri"))
		if err != nil || r.FormValue("client_id") != simulator.DemoOAuthClientID || r.FormValue("response_type") != "code" {
			http.Error(w, "it is not a request of this app (RFC 6749 section 4.1.1)", http.StatusBadRequest)
			return
		}
		back.RawQuery = url.Values{"code": {code}, "state": {r.FormValue("state")}}.Encode()
		http.Redirect(w, r, back.String(), http.StatusFound)
	})
	mux.HandleFunc("POST "+tokenPath, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if form, wrong := url.ParseQuery(string(body)); err != nil || wrong != nil || form.Get("grant_type") == "authorization_code" {
			grant(w, refreshToken, form.Get("code") == code)
			return
		}
		r.URL.Path, r.Body = "/oauth/token", io.NopCloser(bytes.NewReader(body))
		env.simulator.ServeHTTP(w, r)
	})
	certificate, key, err := cert.GenerateSelfSignedCertKey(env.host, []net.IP{net.ParseIP(env.host)}, nil)
	must(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	must(t, err)
	listener, err := tls.Listen("tcp", net.JoinHostPort(env.host, "0"), &tls.Config{Certificates: []tls.Certificate{pair}})
	must(t, err)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return &provides{url: "https://" + listener.Addr().String(), certificate: certificate}
}

// grant answers a code with tokens, of which the access token is of no use (RFC 6749 section 4.1.4).
func grant(w http.ResponseWriter, refreshToken string, isGood bool) {
	w.Header().Set("Content-Type", "application/json")
	if !isGood {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant"})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"access_token": rand.Text(), "token_type": "bearer", "refresh_token": refreshToken})
}
