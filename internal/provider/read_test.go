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
	return compiled(t, spec).Refresh.Begin(inputs(), now, "id").Read(provider.Reply{Status: status, Header: http.Header{}, Body: []byte(body)})
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
		"white space around the tokens":      {"no header has room for it; the refresh token is kept byte for byte", 200, `{"access_token":" a\r\n","refresh_token":" r\n"}`, tokens{"Refreshed", "a", " r\n"}},
		"an access token of white space":     {"none", 200, `{"access_token":" \n","refresh_token":"r"}`, tokens{"RequestRejected", "", "r"}},
		"an access token with NUL":           {"it cannot stand in a header", 200, `{"access_token":"a\u0000b","refresh_token":"r\u00001"}`, tokens{"RequestRejected", "", "r\x001"}},
		"tokens of bad UTF-8":                {"the refresh token is kept byte for byte", 200, "{\"access_token\":\"a\xff\",\"refresh_token\":\"r\xff\xc3\"}", tokens{"RequestRejected", "", "r\xff\xc3"}},
		"a page":                             {"no token", 200, "<html><body>hi</body></html>", tokens{"OutcomeUnknown", "", ""}},
		"no body":                            {"no token", 200, "", tokens{"OutcomeUnknown", "", ""}},
		"a truncated body":                   {"what else was there is not known", 200, `{"access_token":"a","refresh_tok`, tokens{"OutcomeUnknown", "a", ""}},
		"JSON 10,001 deep":                   {"refused, without a crash", 200, deep, tokens{"OutcomeUnknown", "", ""}},
		"JSON in a list":                     {"the one object in it is meant", 200, `[{"access_token":"a"}]`, tokens{"Refreshed", "a", ""}},
		"JSON in a list of two":              {"nobody knows which is meant", 200, `[{"access_token":"a"},{"access_token":"b"}]`, tokens{"OutcomeUnknown", "", ""}},
		"a byte order mark":                  {"it is skipped", 200, "\ufeff{\"access_token\":\"a\"}", tokens{"Refreshed", "a", ""}},
		"white space, a prefix, white space": {"all skipped", 200, " \n#\n {\"access_token\":\"a\"}\n", tokens{"Refreshed", "a", ""}},
		"a prefix and a byte order mark":     {"in any order", 200, "\ufeff#\ufeff{\"access_token\":\"a\"}", tokens{"Refreshed", "a", ""}},
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
		"missing":                              {"an hour", ``, hour},
		"null":                                 {"not stated", `,"expires_in":null`, hour},
		"an empty text":                        {"not stated", `,"expires_in":""`, hour},
		"zero":                                 {"not stated, and told", `,"expires_in":0`, ignored},
		"zero as a text":                       {"not stated, and told", `,"expires_in":"0"`, ignored},
		"a number":                             {"seconds", `,"expires_in":1800`, want{30 * time.Minute, false}},
		"a numeric text":                       {"seconds", `,"expires_in":" 1800 "`, want{30 * time.Minute, false}},
		"a fraction":                           {"of a second", `,"expires_in":3600.5`, want{time.Hour + 500*time.Millisecond, false}},
		"1e30":                                 {"beyond ten years", `,"expires_in":1e30`, ignored},
		"an integer beyond int64":              {"beyond ten years", `,"expires_in":99999999999999999999`, ignored},
		"NaN":                                  {"no use", `,"expires_in":"NaN"`, ignored},
		"infinity":                             {"no use", `,"expires_in":"Inf"`, ignored},
		"a word":                               {"no use", `,"expires_in":"soon"`, ignored},
		"a bool":                               {"no use", `,"expires_in":true`, ignored},
		"a list":                               {"no use", `,"expires_in":[3600]`, ignored},
		"ten years":                            {"the most", `,"expires_in":315360000`, want{87600 * time.Hour, false}},
		"a moment as an epoch":                 {"seconds since 1970", `,"expires_at":1767323105`, want{time.Minute, false}},
		"a moment as an epoch in a text":       {"seconds since 1970", `,"expires_at":"1767323105"`, want{time.Minute, false}},
		"a moment as a date":                   {"RFC 3339", `,"expires_at":"2026-01-02T03:05:05Z"`, want{time.Minute, false}},
		"a moment that has passed, and a span": {"the clocks differ, and a span needs none", `,"expires_at":"2026-01-02T03:03:05Z","expires_in":60`, want{time.Minute, false}},
		"an epoch in milliseconds":             {"by its magnitude", `,"expires_at":1767323105000`, want{time.Minute, false}},
		"an epoch in microseconds":             {"by its magnitude", `,"expires_at":1767323105000000`, want{time.Minute, false}},
		"an epoch in a text, in milliseconds":  {"by its magnitude", `,"expires_at":"1767323105000"`, want{time.Minute, false}},
		"an epoch for a span":                  {"56 years are no lifetime, and the moment is near", `,"expires_in":1767323105`, want{time.Minute, false}},
		"an epoch of milliseconds for a span":  {"the moment is near", `,"expires_in":1767323105000`, want{time.Minute, false}},
		"fifty years":                          {"no moment ahead is meant by it", `,"expires_in":1576800000`, ignored},
		"a moment of 1970":                     {"no token ended then", `,"expires_at":3600`, ignored},
		"RFC 1123":                             {"a common notation", `,"expires_at":"Fri, 02 Jan 2026 03:05:05 UTC"`, want{time.Minute, false}},
		"RFC 850":                              {"a common notation", `,"expires_at":"Friday, 02-Jan-26 03:05:05 GMT"`, want{time.Minute, false}},
		"RFC 3339 without a colon":             {"a common slip", `,"expires_at":"2026-01-02T03:05:05+0000"`, want{time.Minute, false}},
		"a moment without a zone":              {"it is read as UTC", `,"expires_at":"2026-01-02T03:05:05"`, want{time.Minute, false}},
		"a date of .NET":                       {"a common notation", `,"expires_at":"/Date(1767323105000)/"`, want{time.Minute, false}},
		"a moment for a span":                  {"it says when", `,"expires_in":"2026-01-02T03:05:05Z"`, want{time.Minute, false}},
		"a duration of Go":                     {"it has its unit", `,"expires_in":"60s"`, want{time.Minute, false}},
		"a duration of ISO 8601":               {"it has its unit", `,"expires_in":"PT1M"`, want{time.Minute, false}},
		"a duration for a moment":              {"it has its unit", `,"expires_at":"PT1M"`, want{time.Minute, false}},
		"a moment of protobuf":                 {"an object of seconds", `,"expires_at":{"seconds":1767323105,"nanos":0}`, want{time.Minute, false}},
		"a moment of Java":                     {"an object of seconds", `,"expires_at":{"epochSecond":1767323105,"nano":0}`, want{time.Minute, false}},
		"a moment of a document store":         {"an object of a date", `,"expires_at":{"$date":"2026-01-02T03:05:05Z"}`, want{time.Minute, false}},
		"a moment of it, in milliseconds":      {"an object of a number, in an object", `,"expires_at":{"$date":{"$numberLong":"1767323105000"}}`, want{time.Minute, false}},
		"a length of protobuf":                 {"an object of seconds", `,"expires_in":{"seconds":"60"}`, want{time.Minute, false}},
		"an object of something else":          {"no use", `,"expires_in":{"value":60}`, ignored},
		"a date of two meanings":               {"November or December", `,"expires_at":"11/12/2026 12:00:00"`, ignored},
		"eleven years":                         {"beyond ten years", `,"expires_in":"P11Y"`, ignored},
		"a moment and a span":                  {"the moment wins", `,"expires_at":1767323105,"expires_in":1800`, want{time.Minute, false}},
		"a bad moment and a span":              {"the span is of use", `,"expires_at":"soon","expires_in":1800`, want{30 * time.Minute, true}},
		"a moment of zero and a span":          {"the moment is not stated", `,"expires_at":0,"expires_in":1800`, want{30 * time.Minute, false}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, singleUse, 200, `{"access_token":"a"`+c.members+`}`)
			if got.Reason != "Refreshed" {
				t.Errorf("a lifetime never loses the tokens: %s", got.Reason)
			}
			if got.LifetimeIgnored && !strings.Contains(got.Remark, "the reply states a lifetime (expires") {
				t.Errorf("what was ignored is told: %q", got.Remark)
			}
			life := got.Grant.ExpiresAt.Sub(got.Grant.IssuedAt).Round(time.Millisecond)
			if diff := cmp.Diff(c.want, want{life, got.LifetimeIgnored}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestATokenThatHasEndedIsNotUsed(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a token that is born dead")
	for _, members := range []string{
		`"expires_in":-3`, `"expires_in":"-3"`, `"expires_in":"-PT3S"`, `"expires_at":"2026-01-02T03:04:02Z"`, `"expires_at":1767323042`,
		`"expires_at":"2026-01-02T03:04:05Z"`, `"expires_at":"2026-01-02T03:04:02Z","expires_in":-3`, `"expires_at":"2026-01-02T03:04:02Z","expires_in":0`,
	} {
		got := read(t, singleUse, 200, `{"access_token":"a","refresh_token":"r",`+members+`}`)
		if diff := cmp.Diff(tokens{"RequestRejected", "", "r"}, brought(got)); diff != "" {
			t.Errorf("%s: the refresh token is kept, and the other is of no use (-want +got):\n%s", members, diff)
		}
		if !strings.Contains(got.Message, "has ended already") || !got.Grant.Validity.IsZero() {
			t.Errorf("%s: %q, %v", members, got.Message, got.Grant.Validity)
		}
	}
}

func TestWhatIsWrongWithALifetimeIsTold(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an end in a notation of its own")
	for members, want := range map[string]string{
		`,"expires_in":3600`:                           "",
		`,"expires_in":0`:                              "the reply states a lifetime (expiresIn) of 0, so 1h0m0s is assumed",
		`,"expires_at":0`:                              "the reply states a lifetime (expiresAt) of 0, so 1h0m0s is assumed",
		`,"expires_at":0,"expires_in":60`:              "",
		`,"expires_at":"soon"`:                         "the reply states a lifetime (expiresAt) that cannot be read, so 1h0m0s is assumed",
		`,"expires_in":1e30`:                           "the reply states a lifetime (expiresIn) of more than ten years, so 1h0m0s is assumed",
		`,"expires_at":"soon","expires_in":60`:         "the reply states a lifetime (expiresAt) that cannot be read, so expiresIn is used",
		`,"expires_at":"2026-01-02 03:05:05"`:          "the reply states the end of a token without a zone, which is read as UTC",
		`,"expires_in":60,"refresh_expires_in":3`:      "the refresh token is good for 3s, which is too short to renew it in time: have the provider give it longer",
		`,"expires_in":60,"refresh_expires_in":0`:      "",
		`,"expires_in":60,"refresh_expires_in":-1`:     "the reply states an end of the refresh token (refreshTokenExpiresIn) that has passed, which is ignored",
		`,"expires_in":60,"refresh_expires_in":"soon"`: "the reply states a lifetime (refreshTokenExpiresIn) that cannot be read",
	} {
		if got := read(t, singleUse, 200, `{"access_token":"a"`+members+`}`).Remark; got != want {
			t.Errorf("%s: %q, want %q", members, got, want)
		}
	}
}

func TestRefreshTokenLifetime(t *testing.T) {
	t.Parallel()
	stated := singleUse + "lifetime: {refreshToken: 24h}\n"
	for body, want := range map[string]time.Duration{
		`{"access_token":"a","refresh_token":"r","refresh_expires_in":60}`: time.Minute,
		`{"access_token":"a","refresh_token":"r"}`:                         24 * time.Hour,
		`{"access_token":"a","refresh_expires_in":60}`:                     time.Minute,
		`{"access_token":"a","refresh_expires_in":"PT1M"}`:                 time.Minute,
		`{"access_token":"a","refresh_expires_in":0}`:                      -1,
		`{"access_token":"a","refresh_expires_in":-1}`:                     -1,
		`{"access_token":"a"}`:                                             -1,
	} {
		got := read(t, stated, 200, body).Grant.RefreshTokenExpiresAt
		if (want < 0) != got.IsZero() || want > 0 && !got.Equal(now.Add(want)) {
			t.Errorf("%s: the refresh token expires at %v, want in %v", body, got, want)
		}
	}
}

func TestARefreshTokensEndIsFoundWhereServersStateIt(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a refresh token that ends before its access token")
	silent := strings.Replace(singleUse, "    refreshTokenExpiresIn: body.?refresh_expires_in\n", "", 1)
	for members, c := range map[string]struct {
		where string
		want  time.Duration
	}{
		`"refresh_expires_in":20`:                              {"Keycloak", 20 * time.Second},
		`"refresh_token_expires_in":"15897600"`:                {"GitHub", 15897600 * time.Second},
		`"x_refresh_token_expires_in":8726400`:                 {"Intuit", 8726400 * time.Second},
		`"refresh_expires_in":0,"refresh_token_expires_in":60`: {"0 states nothing", time.Minute},
		`"refresh_expires_in":0`:                               {"Keycloak's offline tokens", -1},
		`"refresh_expires_in":-1`:                              {"without an end, as some write it", -1},
		`"refresh_expires_in":"never"`:                         {"it says nothing that can be used", -1},
		`"expires_in":20`:                                      {"it is the other token's", -1},
	} {
		got := read(t, silent, 200, `{"access_token":"a","refresh_token":"r",`+members+`}`)
		if end := got.Grant.RefreshTokenExpiresAt; (c.want < 0) != end.IsZero() || c.want > 0 && !end.Equal(now.Add(c.want)) || got.Reason != "Refreshed" {
			t.Errorf("%s: the refresh token ends at %v, want in %v\nwhere it was met: %s", members, end, c.want, c.where)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a pause in a notation that RFC 9110 does not know")
	for header, want := range map[string]time.Duration{
		"":                                   0,
		"30":                                 30 * time.Second,
		" 30 ":                               30 * time.Second,
		"-1":                                 0,
		"soon":                               0,
		"99999999999":                        24 * time.Hour,
		"15.0":                               15 * time.Second,
		"0.5":                                500 * time.Millisecond,
		"15, 30":                             30 * time.Second,
		"30,15":                              30 * time.Second,
		"soon, 15":                           15 * time.Second,
		"15s":                                15 * time.Second,
		"PT15S":                              15 * time.Second,
		"1767323105":                         time.Minute,
		"1767323105000":                      time.Minute,
		"2026-01-02T03:05:05Z":               time.Minute,
		"Fri, 02 Jan 2026 03:05:05 UTC":      time.Minute,
		"Friday, 02-Jan-26 03:05:05 GMT":     time.Minute,
		"Fri Jan  2 03:05:05 2026":           time.Minute,
		"Fri, 02 Jan 2026 03:05:05 GMT, 120": 2 * time.Minute,
		"NaN":                                0,
		"1e999":                              0,
		"-1, -2":                             0,
		"Fri, 02 Jan 2026 03:05:05 GMT":      time.Minute,
		"Fri, 02 Jan 2025 03:05:05 GMT":      0,
	} {
		reply := provider.Reply{Status: 503, Header: http.Header{"Retry-After": {header}}}
		if got := compiled(t, singleUse).Refresh.Begin(inputs(), now, "id").Read(reply); got.RetryAfter != want {
			t.Errorf("%q: %v, want %v", header, got.RetryAfter, want)
		}
	}
}

// TestAPauseThatTheDescriptionDoesNotPointTo has replies as servers send them that do not
// know Retry-After, or know others' names for it.
func TestAPauseThatTheDescriptionDoesNotPointTo(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a pause that Retry-After does not state")
	limited := strings.Replace(singleUse, "    failures:\n", "    failures:\n    - {when: status == 429, reason: RateLimited}\n", 1)
	for name, c := range map[string]struct {
		reason, header, value, body string
		status                      int
		want                        time.Duration
	}{
		"seconds since 1970":       {"video and social networks count so", "X-Rate-Limit-Reset", "1767323345", `{}`, 429, 5 * time.Minute},
		"milliseconds since 1970":  {"billing services count so", "X-RateLimit-Reset", "1767323345000", `{}`, 429, 5 * time.Minute},
		"seconds from now":         {"the drafts of the IETF", "RateLimit-Reset", "90", `{}`, 429, 90 * time.Second},
		"a structured header":      {"an earlier draft", "RateLimit", "limit=10, remaining=0, reset=15", `{}`, 429, 15 * time.Second},
		"a later structure":        {"a later draft", "RateLimit", `"default";r=0;t=15`, `{}`, 429, 15 * time.Second},
		"a quota alone":            {"it says nothing of when", "RateLimit", "10;w=60", `{}`, 429, 0},
		"a fraction of seconds":    {"chat services", "X-RateLimit-Reset-After", "1.5", `{}`, 429, 1500 * time.Millisecond},
		"milliseconds":             {"clouds", "Retry-After-Ms", "2500", `{}`, 429, 2500 * time.Millisecond},
		"the body":                 {"chat services", "", "", `{"message":"slow","retry_after":4.2}`, 429, 4200 * time.Millisecond},
		"the body's error":         {"frameworks nest it", "", "", `{"error":{"retryAfter":"30"}}`, 429, 30 * time.Second},
		"beside Retry-After":       {"the header that is meant for it wins", "Retry-After", "5", `{"retry_after":900}`, 429, 5 * time.Second},
		"no limit was met":         {"such headers come with every reply", "X-RateLimit-Reset", "90", `{"error":"invalid_grant"}`, 400, 0},
		"a moment that has passed": {"nothing to wait for", "X-RateLimit-Reset", "1767323000", `{}`, 429, 0},
	} {
		reply := provider.Reply{Status: c.status, Header: http.Header{}, Body: []byte(c.body)}
		if c.header != "" {
			reply.Header.Set(c.header, c.value)
		}
		if got := compiled(t, limited).Refresh.Begin(inputs(), now, "id").Read(reply); got.RetryAfter != c.want {
			t.Errorf("%s: %v, want %v\nreason: %s", name, got.RetryAfter, c.want, c.reason)
		}
	}
}

func TestAProviderIsQuotedWithoutAMessageInItsDescription(t *testing.T) {
	t.Parallel()
	silent := strings.Replace(singleUse, "    message: body.?message\n", "", 1)
	for body, want := range map[string]string{
		`{"error":"x","error_description":"bad day"}`:        "the provider answered 401: bad day",
		`{"error":"no_luck"}`:                                "the provider answered 401: no_luck",
		`{"message":"try later"}`:                            "the provider answered 401: try later",
		`{"error":{"code":3,"message":"no luck"}}`:           "the provider answered 401: no luck",
		`{"error":null,"message":"no luck"}`:                 "the provider answered 401: no luck",
		`{"errcode":40001,"errmsg":"invalid credential"}`:    "the provider answered 401: invalid credential",
		`{"title":"Unauthorized","detail":"wrong audience"}`: "the provider answered 401: wrong audience",
		`error=no_luck&error_description=bad+day`:            "the provider answered 401: bad day",
		`{"error":"token canaryRefresh0 is bad"}`:            "the provider answered 401: token [redacted] is bad",
		`{"a":{"b":{"message":"deep"}}}`:                     "the provider answered 401",
		`[1]`:                                                "the provider answered 401",
		`plain`:                                              "the provider answered 401",
	} {
		if got := read(t, silent, 401, body).Message; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestARedirectIsToldWithoutWhatMayBeSecret(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a redirect from the token endpoint")
	const known = "which sends the request on to "
	for location, want := range map[string]string{
		"https://id.example/oauth/token/": known + "https://id.example/oauth/token/,",
		"/oauth/token/":                   known + "/oauth/token/,",
		"oauth/token":                     known + "oauth/token,",
		"//id.example/token":              known + "//id.example/token,",
		"https://id.example/token?refresh_token=canaryRefresh0#canary": known + "https://id.example/token,",
		"https://user:canaryRefresh0@id.example/token":                 known + "https://id.example/token,",
		"https://id.example/canaryRefresh0/token":                      known + "https://id.example/[redacted]/token,",
		"https://id.example/canary%52efresh0/token":                    known + "https://id.example/[redacted]/token,",
		"https://canaryRefresh0.example/token":                         known + "https://[redacted].example/token,",
		"":                                                             "does not say where to",
		"?code=canaryRefresh0":                                         "does not say where to",
		"https://[::1":                                                 "does not say where to",
		"https://x.example/\x00a":                                      "does not say where to",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			reply := provider.Reply{Status: status, Header: http.Header{"Location": {location}}}
			got := compiled(t, singleUse).Refresh.Begin(inputs(), now, "id").Read(reply).Message
			if !strings.Contains(got, want) || strings.Contains(got, "canary") {
				t.Errorf("%d to %q: %q, want %q in it", status, location, got, want)
			}
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
			want += ", which no failure rule of the provider matches"
			if diff := cmp.Diff(want, got.Message); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	e := compiled(t, singleUse).Refresh.Begin(inputs(), now, "id")
	outcome := e.Read(provider.Reply{Status: 200, Body: []byte(`{"access_token":"canaryAccess1","refresh_token":"canaryRefresh1"}`)})
	if printed := fmt.Sprintf("%v %+v %#v %s", outcome, outcome, outcome, outcome.Grant.AccessToken); strings.Contains(printed, "canary") {
		t.Errorf("an outcome prints a secret: %s", printed)
	}
	if printed := fmt.Sprintf("%v %+v %#v", inputs(), inputs(), inputs()); strings.Contains(printed, "canary") {
		t.Errorf("inputs print a secret: %s", printed)
	}
	if printed := fmt.Sprintf("%v %+v %#v", e, e, *e); strings.Contains(printed, "canary") {
		t.Errorf("an exchange prints a secret: %s", printed)
	}
}
