// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// oauth speaks for an OAuth 2.0 server.
type oauth struct{ *Simulator }

// answer is the token endpoint of RFC 6749 with the grants refresh_token
// (section 6) and client_credentials (section 4.4).
func (v oauth) answer(options *Options, call Call) answer {
	o := options.OAuth
	if call.Method != http.MethodPost || call.form == nil {
		return o.refuse("invalid_request", "a POST of application/x-www-form-urlencoded is expected", "no form")
	}
	for name, values := range call.form { // section 3.2
		if len(values) > 1 {
			return o.refuse("invalid_request", "a parameter is repeated", refusal("repeated "+name))
		}
	}
	if call.query.Has("client_id") || call.query.Has("client_secret") || call.query.Has("refresh_token") { // section 2.3.1
		return o.refuse("invalid_request", "credentials must not be in the URI", "credentials in the query")
	}
	app, ok := v.authenticate(call)
	if !ok {
		return refuseClient()
	}
	grantType := call.form.Get("grant_type")
	switch {
	case grantType == "":
		return o.refuse("invalid_request", "grant_type is missing", "no grant_type")
	case grantType != "refresh_token" && grantType != "client_credentials":
		return o.refuse("unsupported_grant_type", "the grant type is not supported", "unsupported grant_type")
	case !app.allows(grantType):
		return o.refuse("unauthorized_client", "the client may not use this grant type", "grant_type not allowed")
	case grantType == "client_credentials":
		return v.clientCredentials(options, app, call)
	case call.form.Get("refresh_token") == "":
		return o.refuse("invalid_request", "refresh_token is missing", "no refresh_token")
	}
	return v.refresh(options, app, call)
}

func (v oauth) refresh(options *Options, app App, call Call) answer {
	o := options.OAuth
	value, asked := call.form.Get("refresh_token"), call.form.Get("scope")
	// A scope that was not granted is refused before the token is spent.
	if t := v.tokens.find(value); t != nil && asked != "" && !within(asked, t.family.grant.Scope) {
		return o.refuse("invalid_scope", "the scope exceeds the scope granted", "scope refused")
	}
	result, refused := v.redeem(options, OAuth, app.Key, value, o.terms())
	if refused != accepted {
		return o.refuse("invalid_grant", "the refresh token is invalid, expired, revoked or was issued to another client", refused)
	}
	return o.success(result, cmp.Or(asked, result.grant.Scope))
}

func (v oauth) clientCredentials(options *Options, app App, call Call) answer {
	o := options.OAuth
	asked := call.form.Get("scope")
	if asked != "" && !within(asked, app.Scope) {
		return o.refuse("invalid_scope", "the scope exceeds what the client may ask for", "scope refused")
	}
	result := v.login(options, Grant{Vendor: OAuth, App: app.Key}, o.terms())
	return o.success(result, cmp.Or(asked, app.Scope))
}

// authenticate takes the app's registered method and no other, and never two at
// once (section 2.3).
func (v oauth) authenticate(call Call) (App, bool) {
	key, secret, used := call.form.Get("client_id"), call.form.Get("client_secret"), Post
	if secret == "" {
		used = None
	}
	if header := call.Header.Get("Authorization"); header != "" {
		basicKey, basicSecret, ok := formBasic(header)
		if !ok || secret != "" || (key != "" && key != basicKey) {
			return App{}, false
		}
		key, secret, used = basicKey, basicSecret, Basic
	}
	app, known := v.app(OAuth, key)
	return app, known && used == app.Authentication && (used == None || secret == app.Secret)
}

// formBasic reads a Basic header whose two values are form-encoded (section
// 2.3.1).
func formBasic(header string) (key, secret string, ok bool) {
	encoded, basic := strings.CutPrefix(header, "Basic ")
	pair, err := base64.StdEncoding.DecodeString(encoded)
	key, secret, found := strings.Cut(string(pair), ":")
	if !basic || err != nil || !found {
		return "", "", false
	}
	key, keyErr := url.QueryUnescape(key)
	secret, secretErr := url.QueryUnescape(secret)
	return key, secret, keyErr == nil && secretErr == nil
}

func (a App) allows(grantType string) bool {
	if len(a.GrantTypes) > 0 {
		return slices.Contains(a.GrantTypes, grantType)
	}
	return grantType == "refresh_token" || a.Authentication != None
}

func (o OAuthOptions) terms() terms {
	return terms{rotation: o.Rotation, accessLifetime: o.AccessTokenLifetime, refreshLifetime: o.RefreshTokenLifetime}
}

// success is section 5.1.
func (o OAuthOptions) success(result issue, scope string) answer {
	reply := object{{"access_token", result.access}, {"token_type", o.TokenType}}.withExpiry(o.ExpiresIn, o.AccessTokenLifetime)
	if result.refresh != "" && (result.refreshIsNew || o.RepeatRefreshToken) {
		reply = append(reply, member{"refresh_token", result.refresh})
	}
	if scope != "" {
		reply = append(reply, member{"scope", scope})
	}
	for _, name := range slices.Sorted(maps.Keys(o.Extra)) {
		reply = append(reply, member{name, o.Extra[name]})
	}
	return answer{grant: result.grant.ID, Reply: noStore(jsonReply(200, "application/json;charset=UTF-8", encode(reply)))}
}

// refuse is section 5.2.
func (o OAuthOptions) refuse(code, description string, why refusal) answer {
	return answer{refusal: why, Reply: noStore(jsonReply(o.ErrorStatus, "application/json;charset=UTF-8",
		encode(object{{"error", code}, {"error_description", description}})))}
}

func refuseClient() answer {
	reply := noStore(jsonReply(http.StatusUnauthorized, "application/json;charset=UTF-8",
		encode(object{{"error", "invalid_client"}, {"error_description", "client authentication failed"}})))
	reply.Header.Set("WWW-Authenticate", `Basic realm="simulator"`)
	return answer{refusal: "app refused", Reply: reply}
}

func noStore(reply Reply) Reply {
	reply.Header.Set("Cache-Control", "no-store")
	reply.Header.Set("Pragma", "no-cache")
	return reply
}

// within tells whether each scope asked for is among those granted.
func within(asked, granted string) bool {
	for scope := range strings.FieldsSeq(asked) {
		if !slices.Contains(strings.Fields(granted), scope) {
			return false
		}
	}
	return true
}
