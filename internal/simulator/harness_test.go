// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start is iat of the documentation's sample JWT.
var start = time.Unix(1414149026, 0).UTC()

// newTest makes a simulator with the demo's seed, a clock that stands still, and
// tokens such as "refresh-2", which tell their number.
func newTest(t *testing.T, options Options) (*Simulator, *fakeClock) {
	t.Helper()
	clock := &fakeClock{now: start}
	options.Clock = clock.Now
	if options.NewToken == nil {
		options.NewToken = func(r TokenRequest) string { return fmt.Sprintf("%s-%s-%d", r.Kind, r.Grant, r.Number) }
	}
	s := New(options)
	if _, err := s.Add(Demo()); err != nil {
		t.Fatal(err)
	}
	return s, clock
}

// request is a request in short.
type request struct {
	method, url, authorization, contentType, body string
}

func (r request) send(t *testing.T, handler http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	made := httptest.NewRequestWithContext(t.Context(), r.method, r.url, strings.NewReader(r.body))
	if r.authorization != "" {
		made.Header.Set("Authorization", r.authorization)
	}
	if r.contentType != "" {
		made.Header.Set("Content-Type", r.contentType)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, made)
	return recorder
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
	// mcsBasic is the header that the documentation gives for the demo's app.
	mcsBasic = "Basic QXVNZ1MyTVBLNVo2bnFXaFZzeVY6bzF1QmpXVHp1cWJhTW5RelNtRHA3VWhSNk0zM05PaGI1WEwwYjFZSw=="
	// oauthBasic is base64 of demo-client:demo+client+secret%3A+100%25+%26+more.
	oauthBasic = "Basic ZGVtby1jbGllbnQ6ZGVtbytjbGllbnQrc2VjcmV0JTNBKzEwMCUyNSslMjYrbW9yZQ=="
)

func mcsRefresh(token string) request {
	return request{"POST", "https://mcs.mediatek.com/oauth/login/thirdparty/refresh", mcsBasic, jsonType, `{"token":"` + token + `"}`}
}

func xiaomiRefresh(token string, change ...string) request {
	query := url.Values{"client_id": {DemoXiaomiClientID}, "client_secret": {DemoXiaomiClientSecret},
		"redirect_uri": {DemoXiaomiRedirectURI}, "grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(change); i += 2 {
		query.Set(change[i], change[i+1])
	}
	return request{method: "GET", url: "https://account.xiaomi.com/oauth2/token?" + query.Encode()}
}

func oracleRefresh(part, token string) request {
	return request{"POST", "https://shop.example.com/" + part + "/v1/refresh", "Bearer " + token, jsonType, "{}"}
}

func oauthRefresh(token string) request {
	return request{"POST", DemoOAuthTokenURL, oauthBasic, formType, "grant_type=refresh_token&refresh_token=" + url.QueryEscape(token)}
}

// grantOf is the state of a grant that must be there.
func grantOf(t *testing.T, s *Simulator, id string) GrantState {
	t.Helper()
	state, found := s.Grant(id)
	if !found {
		t.Fatalf("there is no grant %s", id)
	}
	return state
}
