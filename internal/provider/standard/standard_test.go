// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package standard

import (
	"encoding/json"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestTheRulesCompile(t *testing.T) {
	t.Parallel()
	if all, err := rules(); err != nil || len(all) == 0 {
		t.Errorf("%d rules, %v", len(all), err)
	}
}

// TestWhatARefusalMeans has refusals as token endpoints send them, by whom they were met.
func TestWhatARefusalMeans(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a refusal with another code than those of RFC 6749")
	const (
		person  = "ReauthorizationRequired"
		app     = "AppRejected"
		request = "RequestRejected"
		limited = "RateLimited"
		away    = "ProviderUnavailable"
	)
	for name, c := range map[string]struct {
		where  string
		status int
		body   string
		want   string
	}{
		"the grant":                       {"RFC 6749 section 5.2", 400, `{"error":"invalid_grant"}`, person},
		"the client":                      {"RFC 6749 section 5.2", 401, `{"error":"invalid_client"}`, app},
		"the request":                     {"RFC 6749 section 5.2", 400, `{"error":"invalid_request"}`, request},
		"an unknown code":                 {"RFC 9110 section 15.5", 400, `{"error":"whatever"}`, request},
		"interaction":                     {"OpenID Connect Core section 3.1.2.6", 400, `{"error":"interaction_required"}`, person},
		"a login":                         {"OpenID Connect Core section 3.1.2.6", 400, `{"error":"login_required"}`, person},
		"a token":                         {"RFC 6750 section 3.1", 401, `{"error":"invalid_token"}`, person},
		"a device's code":                 {"RFC 8628 section 3.5", 400, `{"error":"expired_token"}`, person},
		"haste":                           {"RFC 8628 section 3.5", 400, `{"error":"slow_down"}`, limited},
		"another authentication":          {"Google, where an admin asks for it", 400, `{"error":"invalid_grant","error_subtype":"invalid_rapt"}`, person},
		"in upper case":                   {"a library of PHP", 400, `{"error":"Invalid_Grant"}`, person},
		"the grant under another code":    {"Okta's kin", 400, `{"error":"invalid_request","error_description":"The refresh token is invalid or expired."}`, person},
		"the grant in words alone":        {"Bitbucket", 400, `{"error":"invalid_request","error_description":"Invalid refresh_token"}`, person},
		"a token that was used":           {"auth servers that detect reuse", 400, `{"error":"bad_request","error_description":"Refresh token has already been used"}`, person},
		"the client under another code":   {"servers that look at parameters first", 400, `{"error":"invalid_request","error_description":"Missing client_id"}`, app},
		"a parameter is missing":          {"it is no fault of the token", 400, `{"error":"invalid_request","error_description":"Missing refresh_token parameter"}`, request},
		"an object with a code":           {"APIs of one frame for all errors", 400, `{"error":{"code":"invalid_grant","message":"Bad token"}}`, person},
		"an object with a type":           {"social networks", 400, `{"error":{"type":"invalid_client","message":"No such app"}}`, app},
		"a list of errors":                {"JSON:API", 400, `{"errors":[{"code":"invalid_grant","detail":"gone"}]}`, person},
		"another name":                    {"gateways of Java", 400, `{"errorCode":"invalid_grant","errorSummary":"gone"}`, person},
		"a name in upper case":            {"API gateways", 401, `{"ErrorCode":"invalid_client","Error":"ClientId is invalid"}`, app},
		"code and error of a frame":       {"error is true and no code", 400, `{"error":true,"code":"invalid_grant"}`, person},
		"words in the place of the code":  {"servers written by hand", 400, `{"error":"The refresh token has expired"}`, person},
		"nested words":                    {"APIs of one frame for all errors", 403, `{"error":{"status":"DENIED","message":"refresh token revoked"}}`, person},
		"two at once":                     {"a server that locks", 400, `{"error":"invalid_request","error_description":"Concurrent requests, please retry"}`, request},
		"not now":                         {"RFC 6749 section 4.1.2.1", 400, `{"error":"temporarily_unavailable"}`, away},
		"too much":                        {"RFC 6585", 429, `Too many`, limited},
		"401 with a page":                 {"a gateway", 401, `<html>`, app},
		"403 with a page":                 {"a firewall", 403, `<html>`, request},
		"a plain 500":                     {"the tokens may have been issued", 500, `{"error":"server_error"}`, ""},
		"a plain 502":                     {"the tokens may have been issued", 502, `<html>`, ""},
		"200 with an error":               {"servers that know one status", 200, `{"error":"invalid_grant"}`, person},
		"200 with an error that is null":  {"a well-known server", 200, `{"error":null}`, ""},
		"200 with an error that is empty": {"servers that fill a struct", 200, `{"error":"","error_description":""}`, ""},
		"200 with an error of 0":          {"servers that count", 200, `{"error":0}`, ""},
		"200 with a code":                 {"it counts what went well, too", 200, `{"code":200,"message":"refresh token renewed"}`, ""},
		"a moved endpoint":                {"RFC 9110 section 15.4.9", 308, ``, request},
		"a redirect to a login page":      {"it proves nothing", 302, ``, ""},
	} {
		var body any = c.body
		if err := json.Unmarshal([]byte(c.body), &body); err != nil {
			body = c.body
		}
		if got := Reason(c.status, map[string]any{}, body, expression.NewBudget()); got != c.want {
			t.Errorf("%s: %q, want %q\nwhere it was met: %s", name, got, c.want, c.where)
		}
	}
}

func TestHeadersCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		headers map[string]any
		want    string
	}{
		"503, whatever it asks":       {503, map[string]any{"retry-after": "5"}, ""},
		"401 that refuses the token":  {401, map[string]any{"www-authenticate": `Bearer error="invalid_token"`}, "ReauthorizationRequired"},
		"401 that refuses the client": {401, map[string]any{"www-authenticate": "Basic"}, "AppRejected"},
	} {
		if got := Reason(c.status, c.headers, "", expression.NewBudget()); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
