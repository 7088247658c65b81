// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const singleUse = `
refresh:
  request: {url: "https://x.example/token", form: {refresh_token: "${refreshToken}", secret: "${app.secret}"}}
  response:
    prefix: "#"
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    expiresIn: body.?expires_in
    expiresAt: body.?expires_at
    refreshTokenExpiresIn: body.?refresh_expires_in
    failures:
    - {when: 'body.error == "invalid_grant"', reason: ReauthorizationRequired}
    - {when: status == 401, reason: AppRejected}
    message: body.?message
rotation: {mode: SingleUse}
`

func inputs() provider.Inputs {
	return provider.Inputs{AppKey: secret.New("canary-app-key"), AppSecret: secret.New("canary app pass phrase"), RefreshToken: secret.New("canaryRefresh0"), AccessToken: secret.New("canaryAccess0"),
		Login: map[string]secret.Text{"password": secret.New("pa55w0rd")}, Outputs: map[string]any{"mac_key": "macmacmac"},
		Hidden: []secret.Text{secret.New("canaryPrevious0")}}
}

// read gives the outcome of a body, by default with the status 200.
func read(t testing.TB, spec string, status int, body string) provider.Outcome {
	t.Helper()
	return compile(t, spec).Refresh.Begin(inputs(), now, "id").Read(provider.Reply{Status: status, Header: http.Header{}, Body: []byte(body)})
}

// tokens is what a reply brought, for comparison.
type tokens struct{ Reason, Access, Refresh string }

func brought(o provider.Outcome) tokens {
	return tokens{o.Reason, o.Grant.AccessToken.Reveal(), o.Grant.RefreshToken.Reveal()}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001)
	cases := map[string]struct {
		reason string
		status int
		body   string
		want   tokens
	}{
		"both tokens":                        {"the plain case", 200, `{"access_token":"a","refresh_token":"r"}`, tokens{"Refreshed", "a", "r"}},
		"any 2xx":                            {"the status alone decides without success", 299, `{"access_token":"a"}`, tokens{"Refreshed", "a", ""}},
		"no refresh token":                   {"the old one is kept", 200, `{"access_token":"a"}`, tokens{"Refreshed", "a", ""}},
		"an empty refresh token":             {"the old one is kept", 200, `{"access_token":"a","refresh_token":""}`, tokens{"Refreshed", "a", ""}},
		"a null refresh token":               {"the old one is kept", 200, `{"access_token":"a","refresh_token":null}`, tokens{"Refreshed", "a", ""}},
		"a refresh token that is false":      {"the old one is kept", 200, `{"access_token":"a","refresh_token":false}`, tokens{"Refreshed", "a", ""}},
		"a refresh token that is a list":     {"the old one is kept", 200, `{"access_token":"a","refresh_token":["r"]}`, tokens{"Refreshed", "a", ""}},
		"a refresh token that is a number":   {"it is its digits", 200, `{"access_token":"a","refresh_token":42}`, tokens{"Refreshed", "a", "42"}},
		"a huge number":                      {"it is kept to the digit", 200, `{"access_token":123456789012345678901234567890,"refresh_token":98765432109876543210}`, tokens{"Refreshed", "123456789012345678901234567890", "98765432109876543210"}},
		"the same refresh token":             {"nothing new", 200, `{"access_token":"a","refresh_token":"canaryRefresh0"}`, tokens{"Refreshed", "a", ""}},
		"200 with an error":                  {"a rule tells", 200, `{"error":"invalid_grant"}`, tokens{"ReauthorizationRequired", "", ""}},
		"a rule and a new refresh token":     {"the token comes along", 400, `{"error":"invalid_grant","refresh_token":"r"}`, tokens{"ReauthorizationRequired", "", "r"}},
		"a failure and both tokens":          {"they come along", 500, `{"access_token":"a","refresh_token":"r"}`, tokens{"OutcomeUnknown", "a", "r"}},
		"401":                                {"a rule tells", 401, ``, tokens{"AppRejected", "", ""}},
		"503":                                {"no rule: nobody knows", 503, `{}`, tokens{"OutcomeUnknown", "", ""}},
		"a redirect":                         {"no rule: nobody knows", 302, ``, tokens{"OutcomeUnknown", "", ""}},
		"200 without any token":              {"nothing proves that the old one is unspent", 200, `{}`, tokens{"OutcomeUnknown", "", ""}},
		"200 with a refresh token alone":     {"it is kept", 200, `{"refresh_token":"r"}`, tokens{"RequestRejected", "", "r"}},
		"200 with the old refresh token":     {"it was not spent", 200, `{"refresh_token":"canaryRefresh0"}`, tokens{"RequestRejected", "", ""}},
		"an access token that is null":       {"none", 200, `{"access_token":null,"refresh_token":"r"}`, tokens{"RequestRejected", "", "r"}},
		"an access token that is a list":     {"none", 200, `{"access_token":[1],"refresh_token":"r"}`, tokens{"RequestRejected", "", "r"}},
		"an access token that is a bool":     {"none", 200, `{"access_token":true,"refresh_token":"r"}`, tokens{"RequestRejected", "", "r"}},
		"an access token with a line feed":   {"it cannot stand in a header", 200, `{"access_token":"a\nb","refresh_token":"r\n1"}`, tokens{"RequestRejected", "", "r\n1"}},
		"an access token with NUL":           {"it cannot stand in a header", 200, `{"access_token":"a\u0000b","refresh_token":"r\u00001"}`, tokens{"RequestRejected", "", "r\x001"}},
		"tokens of bad UTF-8":                {"the refresh token is kept byte for byte", 200, "{\"access_token\":\"a\xff\",\"refresh_token\":\"r\xff\xc3\"}", tokens{"RequestRejected", "", "r\xff\xc3"}},
		"a page":                             {"no token", 200, "<html><body>hi</body></html>", tokens{"OutcomeUnknown", "", ""}},
		"no body":                            {"no token", 200, "", tokens{"OutcomeUnknown", "", ""}},
		"a truncated body":                   {"nobody knows", 200, `{"access_token":"a","refresh_tok`, tokens{"OutcomeUnknown", "", ""}},
		"JSON 10,001 deep":                   {"refused, without a crash", 200, deep, tokens{"OutcomeUnknown", "", ""}},
		"JSON in a list":                     {"not what the description says", 200, `[{"access_token":"a"}]`, tokens{"OutcomeUnknown", "", ""}},
		"a byte order mark":                  {"it is skipped", 200, "\ufeff{\"access_token\":\"a\"}", tokens{"Refreshed", "a", ""}},
		"white space, a prefix, white space": {"all skipped", 200, " \n#\n {\"access_token\":\"a\"}\n", tokens{"Refreshed", "a", ""}},
		"a prefix and a byte order mark":     {"in any order", 200, "\ufeff#\ufeff{\"access_token\":\"a\"}", tokens{"Refreshed", "a", ""}},
		"the prefix twice":                   {"it is stripped once", 200, "##{\"access_token\":\"a\"}", tokens{"OutcomeUnknown", "", ""}},
		"JSONP":                              {"it is peeled", 200, "callback( {\"access_token\":\"a\"} );\n", tokens{"Refreshed", "a", ""}},
		"a form":                             {"decided by content", 200, "access_token=a%2Bb&refresh_token=r&expires_in=60", tokens{"Refreshed", "a+b", "r"}},
		"a form with one field":              {"it is a form", 200, "access_token=a", tokens{"Refreshed", "a", ""}},
		"a form with a bad escape":           {"it is kept as it is", 200, "access_token=a%zz&x=1", tokens{"Refreshed", "a%zz", ""}},
		"a lone token in base64":             {"it is no form", 200, "access_token==", tokens{"OutcomeUnknown", "", ""}},
		"a footer after JSON":                {"no token is lost over it", 200, "{\"access_token\":\"a\"}\n<!-- 3 ms -->", tokens{"Refreshed", "a", ""}},
		"keys with white space":              {"they are trimmed", 200, `{" access_token ":"a"}`, tokens{"Refreshed", "a", ""}},
		"a key with and without white space": {"the exact one wins", 200, `{"access_token ":"b","access_token":"a"," access_token":"c"}`, tokens{"Refreshed", "a", ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, singleUse, c.status, c.body)
			if diff := cmp.Diff(c.want, brought(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if (got.Reason == "Refreshed") != (got.Message == "") {
				t.Errorf("a failure has a message, success has none: %s %q", got.Reason, got.Message)
			}
		})
	}
}

func TestSuccessThatIsStatedDecides(t *testing.T) {
	t.Parallel()
	stated := strings.Replace(singleUse, "accessToken:", "success: body.ok\n    accessToken:", 1)
	for body, want := range map[string]string{
		`{"ok":true,"access_token":"a","error":"invalid_grant"}`: "Refreshed",
		`{"ok":false,"access_token":"a"}`:                        "OutcomeUnknown",
		`{"access_token":"a"}`:                                   "OutcomeUnknown",
		`{"ok":"true","access_token":"a"}`:                       "OutcomeUnknown",
		`{"ok":false,"error":"invalid_grant"}`:                   "ReauthorizationRequired",
	} {
		if got := read(t, stated, 200, body); got.Reason != want {
			t.Errorf("%s: %s, want %s", body, got.Reason, want)
		}
	}
	if got := read(t, stated, 500, `{"ok":true,"access_token":"a"}`); got.Reason != "Refreshed" {
		t.Errorf("the status does not count where success is stated: %s", got.Reason)
	}
}

func TestAReusableProviderLosesNothingByAnEmptySuccess(t *testing.T) {
	t.Parallel()
	got := read(t, strings.Replace(singleUse, "SingleUse", "Reusable", 1), 200, `{}`)
	if got.Reason != "RequestRejected" || got.Message != "the provider answered 200, without an access token" {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "expires_in missing, \"3600\", 3600.5, 0, negative, 1e30, null, a word")
	type want struct {
		Life    time.Duration
		Ignored bool
	}
	hour := want{time.Hour, false}
	ignored := want{time.Hour, true}
	cases := map[string]struct {
		reason, members string
		want            want
	}{
		"missing":                        {"an hour", ``, hour},
		"null":                           {"not stated", `,"expires_in":null`, hour},
		"an empty text":                  {"not stated", `,"expires_in":""`, hour},
		"zero":                           {"not stated", `,"expires_in":0`, hour},
		"zero as a text":                 {"not stated", `,"expires_in":"0"`, hour},
		"a number":                       {"seconds", `,"expires_in":1800`, want{30 * time.Minute, false}},
		"a numeric text":                 {"seconds", `,"expires_in":" 1800 "`, want{30 * time.Minute, false}},
		"a fraction":                     {"of a second", `,"expires_in":3600.5`, want{time.Hour + 500*time.Millisecond, false}},
		"negative":                       {"no use", `,"expires_in":-1`, ignored},
		"1e30":                           {"beyond ten years", `,"expires_in":1e30`, ignored},
		"an integer beyond int64":        {"beyond ten years", `,"expires_in":99999999999999999999`, ignored},
		"NaN":                            {"no use", `,"expires_in":"NaN"`, ignored},
		"infinity":                       {"no use", `,"expires_in":"Inf"`, ignored},
		"a word":                         {"no use", `,"expires_in":"soon"`, ignored},
		"a bool":                         {"no use", `,"expires_in":true`, ignored},
		"a list":                         {"no use", `,"expires_in":[3600]`, ignored},
		"ten years":                      {"the most", `,"expires_in":315360000`, want{87600 * time.Hour, false}},
		"a moment as an epoch":           {"seconds since 1970", `,"expires_at":1767323105`, want{time.Minute, false}},
		"a moment as an epoch in a text": {"seconds since 1970", `,"expires_at":"1767323105"`, want{time.Minute, false}},
		"a moment as a date":             {"RFC 3339", `,"expires_at":"2026-01-02T03:05:05Z"`, want{time.Minute, false}},
		"a moment that has passed":       {"no use", `,"expires_at":"2025-01-02T03:05:05Z"`, ignored},
		"an epoch in milliseconds":       {"beyond ten years", `,"expires_at":1767323105000`, ignored},
		"a moment and a span":            {"the moment wins", `,"expires_at":1767323105,"expires_in":1800`, want{time.Minute, false}},
		"a bad moment and a span":        {"the span is of use", `,"expires_at":"soon","expires_in":1800`, want{30 * time.Minute, true}},
		"a moment of zero and a span":    {"the moment is not stated", `,"expires_at":0,"expires_in":1800`, want{30 * time.Minute, false}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, singleUse, 200, `{"access_token":"a"`+c.members+`}`)
			if got.Reason != "Refreshed" {
				t.Errorf("a lifetime never loses the tokens: %s", got.Reason)
			}
			life := got.Grant.ExpiresAt.Sub(got.Grant.IssuedAt).Round(time.Millisecond)
			if diff := cmp.Diff(c.want, want{life, got.LifetimeIgnored}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRefreshTokenLifetime(t *testing.T) {
	t.Parallel()
	stated := singleUse + "lifetime: {refreshToken: 24h}\n"
	for body, want := range map[string]time.Duration{
		`{"access_token":"a","refresh_token":"r","refresh_expires_in":60}`: time.Minute,
		`{"access_token":"a","refresh_token":"r"}`:                         24 * time.Hour,
		`{"access_token":"a","refresh_expires_in":60}`:                     time.Minute,
		`{"access_token":"a"}`:                                             -1,
	} {
		got := read(t, stated, 200, body).Grant.RefreshTokenExpiresAt
		if (want < 0) != got.IsZero() || want > 0 && !got.Equal(now.Add(want)) {
			t.Errorf("%s: the refresh token expires at %v, want in %v", body, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"":                              0,
		"30":                            30 * time.Second,
		" 30 ":                          30 * time.Second,
		"-1":                            0,
		"soon":                          0,
		"99999999999":                   24 * time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2025 03:05:05 GMT": 0,
	} {
		reply := provider.Reply{Status: 503, Header: http.Header{"Retry-After": {header}}}
		if got := compile(t, singleUse).Refresh.Begin(inputs(), now, "id").Read(reply); got.RetryAfter != want {
			t.Errorf("%q: %v, want %v", header, got.RetryAfter, want)
		}
	}
}

func TestMessagesAreSafe(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a reply whose message echoes a secret, whole, in part or encoded")
	cases := map[string]struct{ reason, message, want string }{
		"plain words":                    {"they help", "The redirect_uri does not match, see docs.", "The redirect_uri does not match, see docs."},
		"an OAuth error":                 {"it is no token", "unsupported_grant_type", "unsupported_grant_type"},
		"several lines":                  {"one line", "a\r\n  b\tc\u2028d", "a b c d"},
		"a refresh token":                {"redacted", "token canaryRefresh0 is bad", "token [redacted] is bad"},
		"a refresh token in a sentence":  {"redacted with what it hangs on", "refresh_token='canaryRefresh0', sorry", "[redacted] sorry"},
		"half a refresh token":           {"redacted", "token naryRefr... is bad", "token [redacted] is bad"},
		"another spelling":               {"redacted", "token CANARYREFRESH0 is bad", "token [redacted] is bad"},
		"a phrase with spaces":           {"redacted word by word", "got canary app pass phrase here", "got [redacted] here"},
		"a phrase, escaped":              {"redacted", "got canary+app+pass+phrase here", "got [redacted] here"},
		"a phrase in base64":             {"redacted", "got Y2FuYXJ5IGFwcCBwYXNzIHBocmFzZQ== here", "got [redacted] here"},
		"a password":                     {"redacted", "pa55w0rd is wrong", "[redacted] is wrong"},
		"a token before the last":        {"the provider may know it still", "got canary&#80;revious0 &#99;anaryPrevious0", "got [redacted]"},
		"an escaped refresh token":       {"all is left out", "got canary&#82;efresh0", "[redacted]"},
		"an output of the last reply":    {"redacted", "key macmacmac is wrong", "key [redacted] is wrong"},
		"the access token of this reply": {"redacted", "issued newAccess9", "issued [redacted]"},
		"a long word with a digit":       {"it looks like a token", "bad abcdefghijklmno1", "bad [redacted]"},
		"a long word in mixed case":      {"it looks like a token", "bad abcdefghijklmnOp", "bad [redacted]"},
		"a very long word":               {"it looks like a token", "bad abcdefghijklmnopqrstuvwxyzabcdef", "bad [redacted]"},
		"a JWT":                          {"it looks like a token", "bad eyJhbGciOiJIUzI1NiJ9.e30.x", "bad [redacted]"},
		"a long text":                    {"its middle is left out", strings.Repeat("word ", 100), strings.Repeat("word ", 23) + "word…" + strings.Repeat(" word", 16)},
		"bytes that are not UTF-8":       {"they are left out", "a\xffb", "a b"},
		"nothing":                        {"no colon either", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf("access_token=newAccess9&message=%s", strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", " ", "+", "\n", "%0A", "\r", "%0D", "\t", "%09").Replace(c.message))
			got := read(t, singleUse, 400, body)
			want := "the provider answered 400"
			if c.want != "" {
				want += ": " + c.want
			}
			if diff := cmp.Diff(want, got.Message); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	e := compile(t, singleUse).Refresh.Begin(inputs(), now, "id")
	outcome := e.Read(provider.Reply{Status: 200, Body: []byte(`{"access_token":"canaryAccess1","refresh_token":"canaryRefresh1"}`)})
	if printed := fmt.Sprintf("%v %+v %#v %s", outcome, outcome, outcome, outcome.Grant); strings.Contains(printed, "canary") {
		t.Errorf("an outcome prints a secret: %s", printed)
	}
	if printed := fmt.Sprintf("%v %+v %#v", inputs(), inputs(), inputs()); strings.Contains(printed, "canary") {
		t.Errorf("inputs print a secret: %s", printed)
	}
	if printed := fmt.Sprintf("%v %+v %#v", e, e, *e); strings.Contains(printed, "canary") {
		t.Errorf("an exchange prints a secret: %s", printed)
	}
}
