// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// nodeServer is oidc-provider, a process of its own. It ends with its input, which the
// operating system closes should this process be killed.
type nodeServer struct {
	command    *exec.Cmd
	complaints strings.Builder
	issuer     string

	mu      sync.Mutex
	input   io.WriteCloser
	answers *bufio.Scanner
}

// rotation is when oidc-provider gives a new refresh token.
type rotation string

const (
	rotates rotation = "true"
	keeps   rotation = "false"
	// withNonces they do, and each proof of a key needs a nonce of the server.
	withNonces rotation = "true "
	// byDefault public apps get one with each refresh, and others when 70 % of the
	// lifetime of theirs has passed.
	byDefault rotation = ""
)

// nodes are the processes that tests share, since each takes a second to start.
var nodes struct {
	mu      sync.Mutex
	running map[rotation]*nodeServer
}

// node is the oidc-provider that rotates so, or none: the test is skipped then.
func node(t *testing.T, when rotation) *nodeServer {
	t.Helper()
	nodes.mu.Lock()
	defer nodes.mu.Unlock()
	if nodes.running[when] == nil {
		if nodes.running == nil {
			nodes.running = map[rotation]*nodeServer{}
		}
		nodes.running[when] = startNode(t, when)
	}
	return nodes.running[when]
}

// endNodes ends the processes that tests have shared.
func endNodes() error {
	var errs []error
	for _, n := range nodes.running {
		errs = append(errs, n.end())
	}
	return errors.Join(errs...)
}

// startNode starts oidc-provider, or skips the test where it is not there.
func startNode(t *testing.T, when rotation) *nodeServer {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node.js is not installed, so oidc-provider is not tested against")
	}
	if _, err := os.Stat(filepath.Join("oidcprovider", "node_modules", "oidc-provider")); err != nil {
		t.Skip("oidc-provider is not installed, so it is not tested against: run `make npm-programs`")
	}
	n := &nodeServer{command: exec.Command(program, filepath.Join("oidcprovider", "server.mjs"))}
	n.command.Stderr = &n.complaints
	n.input, err = n.command.StdinPipe()
	must(t, err)
	output, err := n.command.StdoutPipe()
	must(t, err)
	n.answers = bufio.NewScanner(output)
	must(t, n.command.Start())
	settings := map[string]any{"signingKey": jose.JSONWebKey{Key: rsaKey(t), Algorithm: "RS256", Use: "sig", KeyID: "signing"}}
	settings["cert"], settings["key"] = certificate(t)
	if when != byDefault {
		settings["rotates"] = json.RawMessage(when)
	}
	settings["dpopNonces"] = when == withNonces
	n.issuer = n.ask(t, settings).Issuer
	return n
}

// end ends the process, and says how if not by itself.
func (n *nodeServer) end() error {
	_ = n.input.Close()
	if err := n.command.Wait(); err != nil {
		return fmt.Errorf("oidc-provider: %w\n%s", err, &n.complaints)
	}
	return nil
}

// answer of the process.
type answer struct {
	Issuer, Token string
	Accepts       bool
}

// ask sends the process a line and reads one.
func (n *nodeServer) ask(t *testing.T, question any) (got answer) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	line, err := json.Marshal(question)
	must(t, err)
	_, err = fmt.Fprintf(n.input, "%s\n", line)
	must(t, err)
	if !n.answers.Scan() {
		t.Fatalf("oidc-provider does not answer (%v); it ended with: %v", n.answers.Err(), n.end())
	}
	must(t, json.Unmarshal(n.answers.Bytes(), &got))
	return got
}

// tokenURL is the server's token endpoint.
func (n *nodeServer) tokenURL() string { return n.issuer + "/token" }

// register makes an app known to the server, under an identifier of its own.
func (n *nodeServer) register(t *testing.T, a app) app {
	t.Helper()
	a.id += " " + uuid.NewString()
	n.ask(t, map[string]any{"register": a.metadata()})
	if a.secret != "" {
		bystander.Hide("an app's secret", a.secret)
	}
	return a
}

// consent gives an app the refresh token that a person's consent leaves behind.
func (n *nodeServer) consent(t *testing.T, a app) string {
	t.Helper()
	question := map[string]string{"consent": a.id}
	if a.bound {
		thumbprint, err := (&jose.JSONWebKey{Key: a.public}).Thumbprint(crypto.SHA256)
		must(t, err)
		question["jkt"] = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	return n.ask(t, question).Token
}

// accepts reports whether the server knows an access token that it has not revoked.
func (n *nodeServer) accepts(t *testing.T, token string) bool {
	t.Helper()
	return n.ask(t, map[string]string{"accepts": token}).Accepts
}

// certificate is httptest's, which the policy trusts, with its key, in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// metadata registers the app (RFC 7591 section 2).
func (a app) metadata() map[string]any {
	metadata := map[string]any{
		"client_id": a.id, "redirect_uris": []string{"https://shop.example/callback"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": map[string]string{
			"": "client_secret_basic", "basic": "client_secret_basic", "post": "client_secret_post", "none": "none", "private_key_jwt": "private_key_jwt",
		}[a.authentication],
	}
	switch {
	case a.bound:
		metadata["dpop_bound_access_tokens"] = true
	case a.public != nil:
		key := jose.JSONWebKey{Key: a.public, KeyID: a.parameters["assertionKeyID"], Algorithm: a.parameters["assertionAlgorithm"], Use: "sig"}
		metadata["jwks"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}}
		metadata["token_endpoint_auth_signing_alg"] = key.Algorithm
	case a.secret != "":
		metadata["client_secret"] = a.secret
	}
	return metadata
}

func TestALifeAgainstOIDCProvider(t *testing.T) {
	t.Parallel()
	const always = 1 + rotations
	for name, each := range map[string]struct {
		app  app
		when rotation
		// forIssuer has the app sign for the issuer, not for the token endpoint.
		forIssuer bool
		refreshed int // refresh tokens, beside the seed
	}{
		"basic":                          {app: withBasic(), when: rotates, refreshed: always},
		"post":                           {app: withPost(), when: rotates, refreshed: always},
		"none":                           {app: withNone(), when: byDefault, refreshed: always},
		"private_key_jwt with EdDSA":     {app: withKey(t, "EdDSA", "", edKey(t)), when: rotates, refreshed: always},
		"private_key_jwt for the issuer": {app: withKey(t, "ES256", "k1", ecKey(t)), when: rotates, forIssuer: true, refreshed: always},
		"refresh tokens that stay":       {app: withBasic(), when: keeps},
		"refresh tokens that stay until most of their lifetime has passed": {app: withPost(), when: byDefault},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := node(t, each.when)
			a := n.register(t, each.app)
			if each.forIssuer {
				a.parameters["assertionAudience"] = n.issuer
			}
			seed := n.consent(t, a)
			w := newWorld(t, a, n.tokenURL(), seed)
			w.awaitFresh(1)
			tokens, refreshTokens := map[string]bool{w.token(): true}, map[string]bool{seed: true, w.live(): true}
			for i := range rotations {
				w.askForRefresh()
				w.awaitFresh(int64(i) + 2)
				tokens[w.token()], refreshTokens[w.live()] = true, true
			}
			if want := 1 + rotations; len(tokens) != want {
				t.Errorf("the target held %d tokens in turn, want %d", len(tokens), want)
			}
			if got := len(refreshTokens) - 1; got != each.refreshed {
				t.Errorf("the server gave %d refresh tokens, want %d", got, each.refreshed)
			}
			if !n.accepts(t, w.token()) {
				t.Error("the server does not accept the token in the target")
			}
		})
	}
}

func TestOIDCProviderEndsAFamilyOfWhichASpentTokenIsSent(t *testing.T) {
	t.Parallel()
	n := node(t, rotates)
	a := n.register(t, withPost())
	stolen := n.consent(t, a)
	w := newWorld(t, a, n.tokenURL(), stolen)
	w.awaitFresh(1)
	if thief := refreshOnce(t, a, n.tokenURL(), stolen); thief.Reason != v1alpha1.ReauthorizationRequiredReason {
		t.Fatalf("whoever sends a spent token is told %s: %s", thief.Reason, thief.Message)
	}
	if n.accepts(t, w.token()) {
		t.Fatal("the server detects no reuse: the family's access token still serves")
	}
	w.askForRefresh()
	w.awaitRefused(v1alpha1.ReauthorizationRequiredReason, true, "grant request is invalid")
	w.authorize(n.consent(t, a))
	w.awaitFresh(2)
	if !n.accepts(t, w.token()) {
		t.Error("the server does not accept the token of the new family")
	}
}

func TestRefusalsAsOIDCProviderWordsThem(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		app   app
		wrong func(*app)
		token string // instead of one that was issued
		want  string
		says  string
	}{
		"a wrong secret": {
			app: withBasic(), wrong: func(a *app) { a.secret = "another secret" },
			want: v1alpha1.AppRejectedReason, says: "client authentication failed",
		},
		"an app that nobody knows": {
			app: withPost(), wrong: func(a *app) { a.id = "nobody" },
			want: v1alpha1.AppRejectedReason, says: "client authentication failed",
		},
		"an assertion for another audience": {
			app:   withKey(t, "RS256", "", rsaKey(t)),
			wrong: func(a *app) { a.parameters["assertionAudience"] = "https://id.example" },
			want:  v1alpha1.AppRejectedReason, says: "client authentication failed",
		},
		"a refresh token that nobody issued": {
			app: withBasic(), token: "nobody issued this",
			want: v1alpha1.ReauthorizationRequiredReason, says: "grant request is invalid",
		},
		"a wider scope than was granted": {
			app: withBasic(), wrong: func(a *app) { a.parameters = map[string]string{"scope": "openid offline_access email"} },
			want: v1alpha1.RequestRejectedReason, says: "refresh token missing requested scope",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := node(t, rotates)
			a := n.register(t, each.app)
			if each.token == "" {
				each.token = n.consent(t, a)
			}
			if each.wrong != nil {
				each.wrong(&a)
			}
			outcome := refreshOnce(t, a, n.tokenURL(), each.token)
			if outcome.Reason != each.want {
				t.Errorf("the reason is %s, want %s: %s", outcome.Reason, each.want, outcome.Message)
			}
			if !strings.Contains(outcome.Message, each.says) {
				t.Errorf("the message does not say %q: %s", each.says, outcome.Message)
			}
		})
	}
}
