// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// hoppingProvider has a call before its refresh and one after it, wants a client
// certificate, and revokes.
const hoppingProvider = `
inputs: {clientCertificate: Required}
prepare:
- request: {url: "https://example.com/app", form: {secret: "${app.secret}"}}
  response: {outputs: {app_token: body.app_token}, expiresIn: body.expires_in}
refresh:
  request: {url: "https://example.com/token", form: {app: "${outputs.app_token}", refresh_token: "${refreshToken}"}}
  response: {accessToken: body.access_token, refreshToken: body.refresh_token, failures: [{when: body.error == "used", reason: ReauthorizationRequired}]}
finish:
- request: {url: "https://example.com/hop", form: {subject: "${accessToken}"}}
  response: {accessToken: body.hop_token, outputs: {region: body.region}}
revoke:
  request: {url: "https://example.com/revoke", form: {token: "${refreshToken}"}}
rotation: {mode: SingleUse}
`

// hopping is that provider.
type hopping struct {
	mu      sync.Mutex
	t       *testing.T
	calls   map[string]int
	rotated int
	broken  bool // the second hop
	revoked string
}

func (h *hopping) current() string { return fmt.Sprintf("refresh-%d", h.rotated) }

// ServeHTTP implements http.Handler.
func (h *hopping) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[r.URL.Path]++
	switch r.URL.Path {
	case "/app":
		fmt.Fprint(rw, `{"app_token":"the-app-token","expires_in":7200}`)
	case "/token":
		if r.FormValue("app") != "the-app-token" || r.FormValue("refresh_token") != h.current() {
			h.t.Errorf("unexpected form %v, the current refresh token is %s", r.Form, h.current())
			fmt.Fprint(rw, `{"error":"used"}`)
			return
		}
		h.rotated++
		fmt.Fprintf(rw, `{"access_token":"first-%d","refresh_token":%q}`, h.rotated, h.current())
	case "/hop":
		if h.broken {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(rw, `{"hop_token":"hop of %s","region":"eu"}`, r.FormValue("subject"))
	case "/revoke":
		h.revoked = r.FormValue("token")
	}
}

func (h *hopping) made(path string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[path]
}

func (h *hopping) breaks(broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = broken
}

// clientPair makes a client certificate that is its own authority, and its key.
func clientPair(t *testing.T) (certificate *x509.Certificate, data map[string][]byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	certificate, err = x509.ParseCertificate(der)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return certificate, map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

// TestALifeWithCallsAroundTheRefresh goes from the seed to the revocation at a server that
// demands a client certificate, over a second hop that fails and a process that ends.
func TestALifeWithCallsAroundTheRefresh(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a second hop that fails after the refresh token has rotated")
	faults.Shows(t, "a server that refuses the client certificate")
	w := newWorld(t, 0)
	known, pair := clientPair(t)
	_, stranger := clientPair(t)
	h := &hopping{t: t, calls: map[string]int{}}
	server := httptest.NewUnstartedServer(h)
	trusted := x509.NewCertPool()
	trusted.AddCert(known)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	w.trust(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	must(t, w.policy.Resolve.Set("example.com:443="+server.Listener.Addr().String()))
	operator := w.start()
	var spec v1alpha1.ClusterTokenProviderSpec
	must(t, yaml.UnmarshalStrict([]byte(hoppingProvider), &spec))
	w.provide(spec)
	w.awaitProvider(metav1.ConditionTrue, v1alpha1.CompiledReason)

	// A certificate that the server does not know: nothing is read, nothing is spent.
	shown := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hops-tls"}, Type: corev1.SecretTypeTLS, Data: stranger}
	must(t, w.Create(t.Context(), shown))
	b := builtIn{provider: "hops", seed: "refresh-0", app: map[string]string{"app_key": "app-key", "app_secret": "app-secret"}}
	b.create(w, func(spec *v1alpha1.TokenCredentialSpec) {
		spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: w.cluster()}
		spec.ClientCertificateSecretRef = &v1alpha1.ClientCertificateSecretReference{Name: "hops-tls"}
		spec.RevokeOnDeletion = true
	})
	w.awaitCondition("hops", v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.AppRejectedReason)
	if h.made("/app")+h.made("/token") > 0 {
		t.Error("the server has read a request of who it does not know")
	}

	// The right one.
	shown.Data = pair
	must(t, w.Update(t.Context(), shown))
	w.awaitFresh("hops")
	if data := w.read(b.target()); string(data["access_token"]) != "hop of first-1" || string(data["region"]) != "eu" {
		t.Errorf("the target holds %q in %q, want the second hop's token", data["access_token"], data["region"])
	}

	// The second hop fails, and the process ends: the next one makes the second hop alone.
	h.breaks(true)
	w.askForRefresh("hops", "once more")
	w.awaitCondition("hops", v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	if state := w.state("hops", "refresh_token"); state != "refresh-2" {
		t.Errorf("the state holds %q, want the rotated refresh token", state)
	}
	operator.shutDown()
	h.breaks(false)
	w.start()
	w.await("hops", "the token of the second hop", func(*v1alpha1.TokenCredential) bool {
		return string(w.read(b.target())["access_token"]) == "hop of first-2"
	})
	w.awaitCondition("hops", v1alpha1.RefreshedCondition, metav1.ConditionTrue, v1alpha1.RefreshedReason)
	if got := h.made("/token"); got != 2 {
		t.Errorf("%d refreshes were made for two tokens", got)
	}

	// Its deletion revokes the grant.
	must(t, w.Delete(t.Context(), w.look("hops")))
	if !w.eventually(func() bool {
		return client.IgnoreNotFound(w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "hops"}, &v1alpha1.TokenCredential{})) == nil && h.made("/revoke") == 1
	}) {
		t.Fatal("the grant is not revoked")
	}
	w.awaitEvents("hops", v1alpha1.RevokedEvent, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.revoked != "refresh-2" {
		t.Errorf("%q was revoked, want the live token", h.revoked)
	}
}
