// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func oauthRequest(change func(*request)) request {
	r := oauthRefresh(DemoOAuthRefreshToken)
	change(&r)
	return r
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	refusal := func(code, text string) string { return `{"error":"` + code + `","error_description":"` + text + `"}` }
	badClient := refusal("invalid_client", "client authentication failed")
	fine := oauthRefresh(DemoOAuthRefreshToken)
	service := request{"POST", DemoOAuthTokenURL, "Basic ZGVtby1zZXJ2aWNlOmRlbW8tc2VydmljZS1zZWNyZXQ=", formType, "grant_type=client_credentials"}
	scoped, tooMuch := service, service
	scoped.body += "&scope=read"
	tooMuch.body += "&scope=admin"
	check(t, []conversation{
		{"a refresh brings a new refresh token", Options{}, fine, 200, oauthReply, "section 5.1"},
		{"another path", Options{}, oauthRequest(func(r *request) { r.url = "https://auth.example.com/oauth2/token" }), 200, oauthReply, "a POST elsewhere than at Xiaomi's host"},
		{"the refresh token kept by switch", Options{OAuth: OAuthOptions{Rotation: Rotation{NewRefreshToken: Never}, RepeatRefreshToken: true}}, fine, 200, strings.Replace(oauthReply, "refresh-demo-oauth2-2", DemoOAuthRefreshToken, 1), "the same one"},
		{"the refresh token omitted by switch", Options{OAuth: OAuthOptions{Rotation: Rotation{NewRefreshToken: Never}}}, fine, 200, strings.Replace(oauthReply, `"refresh_token":"refresh-demo-oauth2-2",`, "", 1), "a missing one keeps the old"},
		{"expires_in as text by switch", Options{OAuth: OAuthOptions{ExpiresIn: ExpiresInText}}, fine, 200, strings.Replace(oauthReply, "3600", `"3600"`, 1), "a numeric string"},
		{"expires_in missing by switch", Options{OAuth: OAuthOptions{ExpiresIn: ExpiresInMissing}}, fine, 200, strings.Replace(oauthReply, `"expires_in":3600,`, "", 1), "only recommended"},
		{"extra members by switch", Options{OAuth: OAuthOptions{Extra: map[string]any{"b": 1, "a": "<&>"}}}, fine, 200, strings.TrimSuffix(oauthReply, "}") + `,"a":"<&>","b":1}`, "a client ignores what it does not know"},
		{"a narrower scope", Options{}, oauthRequest(func(r *request) { r.body += "&scope=read" }), 200, strings.Replace(oauthReply, "read write", "read", 1), "section 6"},
		{"a wider scope", Options{}, oauthRequest(func(r *request) { r.body += "&scope=admin" }), 400, refusal("invalid_scope", "the scope exceeds the scope granted"), "section 6"},
		{"an unknown refresh token", Options{}, oauthRefresh("no"), 400, refusal("invalid_grant", "the refresh token is invalid, expired, revoked or was issued to another client"), "section 5.2"},
		{"another error status by switch", Options{OAuth: OAuthOptions{ErrorStatus: 403}}, oauthRefresh("no"), 403, refusal("invalid_grant", "the refresh token is invalid, expired, revoked or was issued to another client"), "Atlassian"},
		{"no client authentication", Options{}, oauthRequest(func(r *request) { r.authorization = "" }), 401, badClient, "section 5.2"},
		{"the client's secret in the body", Options{}, oauthRequest(func(r *request) {
			r.authorization = ""
			r.body += "&client_id=demo-client&client_secret=demo+client+secret%3A+100%25+%26+more"
		}), 401, badClient, "registered for basic alone"},
		{"basic without form-encoding", Options{}, oauthRequest(func(r *request) {
			r.authorization = "Basic ZGVtby1jbGllbnQ6ZGVtbyBjbGllbnQgc2VjcmV0OiAxMDAlICYgbW9yZQ=="
		}), 401, badClient, "section 2.3.1"},
		{"two ways at once", Options{}, oauthRequest(func(r *request) { r.body += "&client_secret=x" }), 401, badClient, "section 2.3"},
		{"a body that is no form", Options{}, oauthRequest(func(r *request) { r.contentType = jsonType }), 400, refusal("invalid_request", "a POST of application/x-www-form-urlencoded is expected"), "section 6"},
		{"a repeated parameter", Options{}, oauthRequest(func(r *request) { r.body += "&grant_type=refresh_token" }), 400, refusal("invalid_request", "a parameter is repeated"), "section 3.2"},
		{"credentials in the query", Options{}, oauthRequest(func(r *request) { r.url += "?client_secret=x" }), 400, refusal("invalid_request", "credentials must not be in the URI"), "section 2.3.1"},
		{"no grant type", Options{}, oauthRequest(func(r *request) { r.body = "refresh_token=x" }), 400, refusal("invalid_request", "grant_type is missing"), "section 5.2"},
		{"an unknown grant type", Options{}, oauthRequest(func(r *request) { r.body = "grant_type=password" }), 400, refusal("unsupported_grant_type", "the grant type is not supported"), "section 5.2"},
		{"a grant type of others", Options{}, oauthRequest(func(r *request) { r.body = "grant_type=client_credentials" }), 400, refusal("unauthorized_client", "the client may not use this grant type"), "section 5.2"},
		{"client credentials", Options{}, service, 200, `{"access_token":"access-110001-1","token_type":"Bearer","expires_in":3600,"scope":"read write"}`, "section 4.4.3: no refresh token"},
		{"client credentials with a scope", Options{}, scoped, 200, `{"access_token":"access-110001-1","token_type":"Bearer","expires_in":3600,"scope":"read"}`, "section 3.3"},
		{"client credentials with too wide a scope", Options{}, tooMuch, 400, refusal("invalid_scope", "the scope exceeds what the client may ask for"), "section 5.2"},
	})
}

func TestOAuthHeaders(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	refused := oauthRequest(func(r *request) { r.authorization = "" }).send(t, s)
	want := http.Header{"Content-Type": {"application/json;charset=UTF-8"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"},
		"Www-Authenticate": {`Basic realm="simulator"`}, "Content-Length": {"77"}}
	if diff := cmp.Diff(want, refused.Header()); diff != "" {
		t.Errorf("section 5.2 asks for these headers (-want +got):\n%s", diff)
	}
}

func TestOAuthOtherAuthentication(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	if _, err := s.Add(Seed{
		Apps:   []App{{Vendor: OAuth, Key: "p", Secret: "x", Authentication: Post}, {Vendor: OAuth, Key: "n", Authentication: None}},
		Grants: []Grant{{ID: "gp", Vendor: OAuth, App: "p", RefreshToken: "tp"}, {ID: "gn", Vendor: OAuth, App: "n", RefreshToken: "tn"}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"the secret in the body", "client_id=p&client_secret=x&grant_type=refresh_token&refresh_token=tp", 200},
		{"a wrong secret in the body", "client_id=p&client_secret=y&grant_type=refresh_token&refresh_token=tp", 401},
		{"a public client", "client_id=n&grant_type=refresh_token&refresh_token=tn", 200},
		{"a public client with a secret", "client_id=n&client_secret=x&grant_type=refresh_token&refresh_token=tn", 401},
		{"a public client may not use client credentials", "client_id=n&grant_type=client_credentials", 400},
		{"a token of another app", "client_id=n&grant_type=refresh_token&refresh_token=tp", 400},
	} {
		if reply := (request{"POST", DemoOAuthTokenURL, "", formType, c.body}).send(t, s); reply.Code != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, reply.Code, c.status, reply.Body)
		}
	}
}
