// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/ory/fosite"
)

// consentServer adds to a server the page where a person grants access, which says yes or
// no at once, and the endpoints of a device (RFC 8628), which fosite does not have: a
// device's tokens are fosite's.
type consentServer struct {
	*server
	app app

	mu sync.Mutex
	// denies has the person say no.
	denies bool
	// pages are the queries that the page was opened with.
	pages []string
	// polls are the replies to a device that asks, each an error or "" for tokens; behind
	// the last there are tokens.
	polls     []string
	asked     []time.Time
	expiresIn int
	deviceIs  string
}

// grantsAccess makes the server one with a page and a device endpoint for the app.
func (s *server) grantsAccess(a app) *consentServer {
	c := &consentServer{server: s, app: a, expiresIn: 300, deviceIs: rand.Text()}
	client := s.registered(a)
	client.GrantTypes = append(client.GrantTypes, "authorization_code")
	client.ResponseTypes = []string{"code"}
	client.RedirectURIs = []string{"http://127.0.0.1/callback", "https://shop.example/callback"}
	s.consents = c
	bystander.Hide("a device's code", c.deviceIs)
	return c
}

func (c *consentServer) pageURL() string   { return c.URL + "/oauth2/auth" }
func (c *consentServer) deviceURL() string { return c.URL + "/oauth2/device" }

// serves answers a request that is not for fosite's token endpoint; false: it is.
func (c *consentServer) serves(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == "/oauth2/auth":
		c.page(w, r)
	case r.URL.Path == "/oauth2/device":
		c.mu.Lock()
		defer c.mu.Unlock()
		reply(w, http.StatusOK, map[string]any{
			"device_code": c.deviceIs, "user_code": "WDJB-MJHT", "verification_uri": c.URL + "/device",
			"interval": 1, "expires_in": c.expiresIn,
		})
	case r.FormValue("grant_type") == "urn:ietf:params:oauth:grant-type:device_code":
		c.poll(w, r)
	default:
		return false
	}
	return true
}

// page is the authorization endpoint, with a person who decides at once.
func (c *consentServer) page(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c.mu.Lock()
	denies := c.denies
	c.pages = append(c.pages, r.URL.RawQuery)
	c.mu.Unlock()
	request, err := c.oauth.NewAuthorizeRequest(ctx, r)
	if err == nil && denies {
		err = fosite.ErrAccessDenied.WithHint("The person said no.")
	}
	if err != nil {
		c.oauth.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	session := &fosite.DefaultSession{Subject: "a person"}
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	response, err := c.oauth.NewAuthorizeResponse(ctx, request, session)
	if err != nil {
		c.oauth.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	bystander.Hide("a code", response.GetCode())
	c.oauth.WriteAuthorizeResponse(ctx, w, request, response)
}

// poll is the token endpoint for a device.
func (c *consentServer) poll(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, time.Now())
	next := ""
	if len(c.polls) > 0 {
		next, c.polls = c.polls[0], c.polls[1:]
	}
	if r.FormValue("device_code") != c.deviceIs {
		next = "invalid_grant"
	}
	if next != "" {
		reply(w, http.StatusBadRequest, map[string]any{"error": next})
		return
	}
	refresh := c.consent(c.app, time.Hour)
	bystander.Hide("a device's refresh token", refresh)
	reply(w, http.StatusOK, map[string]any{"access_token": "of-no-further-use-" + rand.Text(), "token_type": "bearer", "refresh_token": refresh})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
