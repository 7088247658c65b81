// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
)

// server is an authorization server that has one app. As fosite has it, a refresh token
// works once, and one that is used again ends its whole family (RFC 9700 section 4.14.2).
type server struct {
	*httptest.Server
	t      *testing.T
	config *fosite.Config
	store  *store
	oauth  fosite.OAuth2Provider
	tokens oauth2.CoreStrategy

	mu        sync.Mutex
	exchanges []exchange
	fates     []fate
	// keeps reports whether a refresh, the first being number 1, gives the refresh token
	// back that it was asked with; nil: none does.
	keeps func(number int) bool
	// silent servers leave a refresh token that they keep out of the reply.
	silent bool
	// consents answers what is not for the token endpoint; nil: nothing does.
	consents *consentServer
}

// exchange is a refresh as the server saw it.
type exchange struct {
	sent   string // the refresh token
	status int
	error  string
	// access and refresh are the tokens that were issued, whether or not they arrived.
	access, refresh string
}

// fate is what becomes of a reply on its way.
type fate func(w http.ResponseWriter, reply *httptest.ResponseRecorder)

// newServer starts a server at which an app is registered. Nothing may be set later than
// its first request.
func newServer(t *testing.T, a app) *server {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	s := &server{t: t, store: &store{MemoryStore: storage.NewMemoryStore()}, config: &fosite.Config{
		GlobalSecret:        secret,
		AccessTokenLifespan: time.Hour,
		HashCost:            4, // bcrypt's least
		EnforcePKCE:         true,
	}}
	s.tokens = &keeping{CoreStrategy: compose.NewOAuth2HMACStrategy(s.config), server: s}
	s.oauth = compose.Compose(s.config, s.store, s.tokens, compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2PKCEFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2TokenIntrospectionFactory)
	s.register(a)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if a.issuer != nil {
		s.demandCertificates(a.issuer)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.config.TokenURL = s.tokenURL()
	return s
}

// tokenURL is the server's token endpoint.
func (s *server) tokenURL() string { return s.URL + "/oauth2/token" }

// register makes the app known to the server.
func (s *server) register(a app) {
	s.t.Helper()
	client := &fosite.DefaultOpenIDConnectClient{DefaultClient: &fosite.DefaultClient{
		ID: a.id, Public: a.secret == "", GrantTypes: []string{"refresh_token"}, Scopes: []string{"offline", "photos"},
	}}
	switch a.authentication {
	case "", "basic", "post":
		hashed, err := (&fosite.BCrypt{Config: s.config}).Hash(s.t.Context(), []byte(a.secret))
		must(s.t, err)
		client.Secret = hashed
		client.TokenEndpointAuthMethod = map[bool]string{false: "client_secret_basic", true: "client_secret_post"}[a.authentication == "post"]
	default:
		client.TokenEndpointAuthMethod = a.authentication
	}
	if a.public != nil {
		client.TokenEndpointAuthSigningAlgorithm = a.parameters["assertionAlgorithm"]
		client.JSONWebKeys = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: a.public, KeyID: a.parameters["assertionKeyID"], Use: "sig"}}}
	}
	s.store.Clients[a.id] = client
	if a.secret != "" {
		bystander.Hide("an app's secret", a.secret)
	}
}

// demandCertificates has the server take none but connections with a certificate of an
// authority, and authenticate apps by it (RFC 8705 section 2.1), which fosite does not do
// itself.
func (s *server) demandCertificates(authority *x509.Certificate) {
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	s.TLS.ClientCAs.AddCert(authority)
	s.config.ClientAuthenticationStrategy = func(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
		if r.TLS.PeerCertificates[0].Subject.CommonName != form.Get("client_id") {
			return nil, fosite.ErrInvalidClient.WithHint("The certificate is another app's.")
		}
		return s.store.GetClient(ctx, form.Get("client_id"))
	}
}

// registered is the app as the server has it.
func (s *server) registered(a app) *fosite.DefaultClient {
	return s.store.Clients[a.id].(*fosite.DefaultOpenIDConnectClient).DefaultClient
}

// consent gives an app the refresh token that a person's consent leaves behind. It lives
// so long.
func (s *server) consent(a app, lifetime time.Duration) string {
	s.t.Helper()
	session := &fosite.DefaultSession{Subject: "a person"}
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(lifetime))
	request := fosite.NewRequest()
	request.Client, request.Session = s.store.Clients[a.id], session
	request.GrantedScope = fosite.Arguments{"offline", "photos"}
	token, signature, err := s.tokens.GenerateRefreshToken(s.t.Context(), request)
	must(s.t, err)
	must(s.t, s.store.CreateRefreshTokenSession(s.t.Context(), signature, "", request))
	return token
}

// accepts reports whether an API that trusts the server takes an access token.
func (s *server) accepts(token string) bool {
	_, _, err := s.oauth.IntrospectToken(s.t.Context(), token, fosite.AccessToken, &fosite.DefaultSession{})
	return err == nil
}

// meet decides what becomes of the next replies, one after another; those behind arrive.
func (s *server) meet(fates ...fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fates = append(s.fates, fates...)
}

// seen are the exchanges so far.
func (s *server) seen() []exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// current is the refresh token that was issued last.
func (s *server) current() string {
	for _, each := range slices.Backward(s.seen()) {
		if each.refresh != "" {
			return each.refresh
		}
	}
	return ""
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if s.consents != nil && s.consents.serves(w, r) {
		return
	}
	reply := httptest.NewRecorder()
	s.answer(r.Context(), reply, r)
	next := arrives
	s.mu.Lock()
	s.exchanges = append(s.exchanges, observed(r, reply))
	if len(s.fates) > 0 {
		next, s.fates = s.fates[0], s.fates[1:]
	}
	s.mu.Unlock()
	next(w, reply)
}

func (s *server) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	request, err := s.oauth.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
	if err != nil {
		s.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	response, err := s.oauth.NewAccessResponse(ctx, request)
	if err != nil {
		s.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	if s.silent && response.GetExtra("refresh_token") == r.PostForm.Get("refresh_token") {
		delete(response.(*fosite.AccessResponse).Extra, "refresh_token")
	}
	s.oauth.WriteAccessResponse(ctx, w, request, response)
}

// observed is what can be seen of an exchange, all secrets of which the bystander learns.
func observed(r *http.Request, reply *httptest.ResponseRecorder) exchange {
	var body struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error"`
	}
	_ = json.Unmarshal(reply.Body.Bytes(), &body) // a reply that is none has no tokens
	for _, secret := range []string{r.PostForm.Get("refresh_token"), r.PostForm.Get("client_assertion"), body.Access, body.Refresh} {
		if secret != "" {
			bystander.Hide("what an exchange sent or brought", secret)
		}
	}
	return exchange{sent: r.PostForm.Get("refresh_token"), status: reply.Code, error: body.Error, access: body.Access, refresh: body.Refresh}
}

// store may fail to rotate.
type store struct {
	*storage.MemoryStore
	refusal error
}

// refusesRotation has the store fail from now on where it is asked to rotate.
func (s *store) refusesRotation(err error) { s.refusal = err }

// RotateRefreshToken implements oauth2.RefreshTokenStorage.
func (s *store) RotateRefreshToken(ctx context.Context, requestID, signature string) error {
	if s.refusal != nil {
		return s.refusal
	}
	return s.MemoryStore.RotateRefreshToken(ctx, requestID, signature)
}

// keeping gives the refresh token back that it was asked with, where its server keeps
// it.
type keeping struct {
	oauth2.CoreStrategy
	server *server
}

// GenerateRefreshToken implements oauth2.RefreshTokenStrategy.
func (k *keeping) GenerateRefreshToken(ctx context.Context, request fosite.Requester) (token, signature string, err error) {
	asked := request.GetRequestForm().Get("refresh_token")
	if asked != "" && k.server.keeps != nil && k.server.keeps(len(k.server.seen())+1) {
		return asked, k.RefreshTokenSignature(ctx, asked), nil
	}
	return k.CoreStrategy.GenerateRefreshToken(ctx, request)
}

// arrives lets a reply through.
func arrives(w http.ResponseWriter, reply *httptest.ResponseRecorder) {
	for name, values := range reply.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(reply.Code)
	_, _ = w.Write(reply.Body.Bytes())
}

// isLost cuts the connection in place of a reply.
func isLost(http.ResponseWriter, *httptest.ResponseRecorder) { panic(http.ErrAbortHandler) }

// isReplaced is a gateway that answers by itself.
func isReplaced(w http.ResponseWriter, _ *httptest.ResponseRecorder) {
	http.Error(w, "upstream prematurely closed connection", http.StatusBadGateway)
}

// isCutBehind cuts the connection where a text begins in the body of a reply.
func isCutBehind(text string) fate {
	return func(w http.ResponseWriter, reply *httptest.ResponseRecorder) {
		before, _, found := bytes.Cut(reply.Body.Bytes(), []byte(text))
		if !found {
			panic("the reply has no " + text)
		}
		w.Header().Set("Content-Length", strconv.Itoa(reply.Body.Len()))
		w.WriteHeader(reply.Code)
		_, _ = w.Write(before)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
