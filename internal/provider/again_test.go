// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// asksAgain is a provider that may refuse a request and say what it needs for another.
const asksAgain = `
refresh:
  request:
    url: https://${outputs.?host.orValue("eu.x.example")}/token
    headers: {DPoP: "${outputs.?nonce}"}
    form: {id: "${uuid()}", mac: "${outputs.mac_key}"}
  response:
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    outputs: {mac_key: 'body.?mac_key'}
    retryAfter: headers[?"x-wait"]
    failures:
    - {when: 'body.error == "use_dpop_nonce"', reason: SendAgain, outputs: {nonce: 'headers["dpop-nonce"]'}}
    - {when: 'body.error == 10004', reason: SendAgain, outputs: {host: 'body.data.region + ".x.example"', other: body.data.none}}
    - {when: 'body.error == "busy"', reason: SendAgain}
    - {when: 'body.error == "slow"', reason: RateLimited}
    message: body.?message
rotation: {mode: SingleUse}
`

func reply(status int, body string, header ...string) provider.Reply {
	reply := provider.Reply{Status: status, Header: http.Header{}, Body: []byte(body)}
	for i := 0; i+1 < len(header); i += 2 {
		reply.Header.Set(header[i], header[i+1])
	}
	return reply
}

func TestARefusalThatBringsStateIsSentAgain(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "state that only a refusal brings")
	type want struct {
		reason    string
		sendAgain bool
		outputs   map[string]any
		message   string
	}
	cases := map[string]struct {
		reason string
		reply  provider.Reply
		want   want
	}{
		"a nonce":                          {"RFC 9449 section 8", reply(400, `{"error":"use_dpop_nonce"}`, "DPoP-Nonce", "n1"), want{"RequestRejected", true, map[string]any{"nonce": "n1"}, "the provider answered 400: use_dpop_nonce"}},
		"a region":                         {"what is absent is left out", reply(200, `{"error":10004,"data":{"region":"us"}}`), want{"RequestRejected", true, map[string]any{"host": "us.x.example"}, "the provider answered 200"}},
		"nothing, and nothing was asked":   {"the second try may go well by itself", reply(503, `{"error":"busy"}`), want{"RequestRejected", true, map[string]any{}, "the provider answered 503: busy"}},
		"a refusal without its nonce":      {"the second try would be refused as well", reply(400, `{"error":"use_dpop_nonce","message":"again"}`), want{"RequestRejected", false, nil, "the provider answered 400: again, without what the request needs to be sent again"}},
		"a refusal with a successor":       {"the old token may be spent", reply(400, `{"error":"use_dpop_nonce","refresh_token":"r1"}`, "DPoP-Nonce", "n1"), want{"RequestRejected", false, nil, "the provider answered 400: use_dpop_nonce"}},
		"another refusal":                  {"its rule says so", reply(429, `{"error":"slow"}`), want{"RateLimited", false, nil, "the provider answered 429: slow"}},
		"a success with a nonce":           {"nothing has to be sent again", reply(200, `{"access_token":"a"}`, "DPoP-Nonce", "n1"), want{"Refreshed", false, nil, ""}},
		"a nonce of more than can be kept": {"it is not cut", reply(400, `{"error":"use_dpop_nonce"}`, "DPoP-Nonce", strings.Repeat("n", 70<<10)), want{"RequestRejected", false, nil, "the provider answered 400: use_dpop_nonce, without what the request needs to be sent again"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := compiled(t, asksAgain).Refresh.Begin(inputs(), now, "id").Read(c.reply)
			if diff := cmp.Diff(fmt.Sprintf("%+v", c.want), fmt.Sprintf("%+v", want{got.Reason, got.SendAgain, got.Outputs, got.Message})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestTheSameCallOnceMore(t *testing.T) {
	t.Parallel()
	in := inputs()
	first := compiled(t, asksAgain).Refresh.Begin(in, now, "first")
	outcome := first.Read(reply(400, `{"error":"use_dpop_nonce"}`, "DPoP-Nonce", "n1"))
	second := first.Again(outcome.Outputs, "second")
	request, err := second.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, body := onTheWire(t, request)
	if !slices.Contains(head, "DPoP: n1") {
		t.Errorf("the nonce is sent: got %q", head)
	}
	if diff := cmp.Diff("id=second&mac=macmacmac", body); diff != "" {
		t.Errorf("a new uuid(), and what it had before (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"mac_key": "macmacmac"}, in.Outputs); diff != "" {
		t.Errorf("the inputs are the caller's (-want +got):\n%s", diff)
	}
	third := second.Again(map[string]any{"host": "us.x.example"}, "third")
	if address, err := third.URL(); err != nil || address.Host != "us.x.example" {
		t.Errorf("another host: got %v, %v", address, err)
	}
	if !compiled(t, asksAgain).Refresh.HostFromReply() {
		t.Error("a reply has a say in the host")
	}
}

func TestAPauseOutOfAReply(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, wait, retryAfter string
		want                     time.Duration
	}{
		"seconds":                      {"a number", "90", "", 90 * time.Second},
		"a moment, in seconds":         {"X-Rate-Limit-Reset of many", "1767323345", "", 5 * time.Minute},
		"a moment as text":             {"RFC 3339", "2026-01-02T03:14:05Z", "", 10 * time.Minute},
		"a moment that has passed":     {"nothing to wait for", "2026-01-02T03:00:00Z", "", 0},
		"none":                         {"the header alone counts", "", "30", 30 * time.Second},
		"both, the header the longer":  {"the longer counts", "10", "30", 30 * time.Second},
		"both, the reply's the longer": {"the longer counts", "60", "30", time.Minute},
		"a thousand days":              {"a day at most", "86400000", "", 24 * time.Hour},
		"a word":                       {"it says nothing", "later", "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := reply(429, `{"error":"slow"}`)
			if c.wait != "" {
				answer.Header.Set("X-Wait", c.wait)
			}
			answer.Header.Set("Retry-After", c.retryAfter)
			if got := compiled(t, asksAgain).Refresh.Begin(inputs(), now, "id").Read(answer).RetryAfter; got != c.want {
				t.Errorf("got %s, want %s\nreason: %s", got, c.want, c.reason)
			}
		})
	}
	body := strings.Replace(asksAgain, `headers[?"x-wait"]`, "duration(string(body.wait) + 's')", 1)
	if got := compiled(t, body).Refresh.Begin(inputs(), now, "id").Read(reply(429, `{"error":"slow","wait":7}`)).RetryAfter; got != 7*time.Second {
		t.Errorf("a duration out of the body: got %s", got)
	}
}

// brings is what a call of some role may bring, for comparison.
type brings struct {
	reason, access, kind string
	outputs              string
	lives                time.Duration // 0: not stated
	message              string
}

func TestWhatTheOtherCallsBring(t *testing.T) {
	t.Parallel()
	const unreachable = "ProviderUnavailable"
	p := compiled(t, `
prepare:
- request: {url: "https://x/app"}
  response: {outputs: {app_token: body.app_token, other: 'body.?other'}, expiresIn: 'body.?expires_in', failures: [{when: status == 401, reason: AppRejected}], message: 'body.?msg'}
refresh: {request: {url: "https://x/"}, response: {accessToken: body.a}}
finish:
- request: {url: "https://x/hop"}
  response: {accessToken: body.access_token, expiresIn: 'body.?expires_in', outputs: {scope: 'body.?scope'}}
- request: {url: "https://x/second"}
  response: {outputs: {second: body.access_token}}
revoke:
  request: {url: "https://x/revoke"}
  response: {failures: [{when: 'body.error == "slow"', reason: RateLimited}]}
lifetime: {accessToken: 2h}
rotation: {mode: SingleUse}`)
	prepare, hop, second := p.Prepare[0], p.Finish[0], p.Finish[1]
	cases := map[string]struct {
		reason string
		call   *provider.Call
		reply  provider.Reply
		want   brings
	}{
		"prepare: an output":             {"not stated how long it lives: used once", prepare, reply(200, `{"app_token":"t","access_token":"never"}`), brings{"Refreshed", "", "", `map[app_token:t]`, 0, ""}},
		"prepare: an output that lives":  {"it may be used again until then", prepare, reply(200, `{"app_token":"t","expires_in":7200}`), brings{"Refreshed", "", "", `map[app_token:t]`, 2 * time.Hour, ""}},
		"prepare: none of its outputs":   {"what follows could not be built", prepare, reply(200, `{}`), brings{"RequestRejected", "", "", `map[]`, 0, "the provider answered 200, without any of the outputs that it is asked for"}},
		"prepare: a rule":                {"it says why", prepare, reply(401, `{"msg":"no such app"}`), brings{"AppRejected", "", "", `map[]`, 0, "the provider answered 401: no such app"}},
		"prepare: no rule":               {"nothing was spent", prepare, reply(500, ``), brings{unreachable, "", "", `map[]`, 0, "the provider answered 500"}},
		"prepare: cut short":             {"nothing was spent", prepare, provider.Reply{Status: 200, Body: []byte(`{"app`), CutShort: true}, brings{unreachable, "", "", `map[]`, 0, "the provider's reply could not be read"}},
		"finish: a token":                {"it lives as the provider says", hop, reply(200, `{"access_token":"b","expires_in":60,"scope":"s"}`), brings{"Refreshed", "b", "Bearer", `map[scope:s]`, time.Minute, ""}},
		"finish: a token of unknown end": {"it lives as the description says", hop, reply(200, `{"access_token":"b","token_type":"mac"}`), brings{"Refreshed", "b", "mac", `map[]`, 2 * time.Hour, ""}},
		"finish: no token":               {"the second hop brought nothing", hop, reply(200, `{"scope":"s"}`), brings{"RequestRejected", "", "", `map[scope:s]`, 2 * time.Hour, "the provider answered 200, without an access token"}},
		"finish: no rule":                {"the token was saved before", hop, reply(502, ``), brings{unreachable, "", "", `map[]`, 2 * time.Hour, "the provider answered 502"}},
		"finish: outputs alone":          {"the first token lives on as it did", second, reply(200, `{"access_token":"c"}`), brings{"Refreshed", "", "", `map[second:c]`, 0, ""}},
		"finish: none of its outputs":    {"a token is missing", second, reply(200, `{}`), brings{"RequestRejected", "", "", `map[]`, 0, "the provider answered 200, without any of the outputs that it is asked for"}},
		"revoke: any success":            {"RFC 7009 section 2.2", p.Revoke, reply(200, ``), brings{"Refreshed", "", "", `map[]`, 0, ""}},
		"revoke: a rule":                 {"it says when to try again", p.Revoke, reply(503, `{"error":"slow"}`), brings{"RateLimited", "", "", `map[]`, 0, "the provider answered 503: slow"}},
		"revoke: no rule":                {"it is tried again", p.Revoke, reply(500, ``), brings{unreachable, "", "", `map[]`, 0, "the provider answered 500"}},
		"refresh: no rule":               {"its token may be spent", p.Refresh, reply(500, ``), brings{"OutcomeUnknown", "", "Bearer", `map[]`, 2 * time.Hour, "the provider answered 500"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := c.call.Begin(inputs(), now, "id").Read(c.reply)
			got := brings{o.Reason, o.Grant.AccessToken.Reveal(), o.Grant.Type, fmt.Sprint(o.Grant.Outputs), 0, o.Message}
			if !o.Grant.ExpiresAt.IsZero() {
				got.lives = o.Grant.ExpiresAt.Sub(now)
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v\nreason: %s", got, c.want, c.reason)
			}
			if !o.Grant.RefreshToken.IsZero() {
				t.Error("no refresh token comes of it")
			}
		})
	}
}

func TestAPersonsGrant(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
inputs: {app: Required}
refresh: {request: {url: "https://x/"}, response: {accessToken: body.a}}
authorize:
  url: https://x.example/authorize
  query: {response_type: code, client_id: "${app.key}", redirect_uri: "${authorization.redirectURI}", state: "${authorization.state}", scope: "${authorization.?scope}", code_challenge: "${authorization.codeChallenge}", code_challenge_method: S256}
  code:
    request: {url: "https://x/token", form: {code: "${authorization.code}", code_verifier: "${authorization.codeVerifier}"}}
    response: {accessToken: 'body.?access_token', refreshToken: body.refresh_token, message: 'body.?message'}
  device:
    request: {url: "https://x/device", form: {scope: "${authorization.?scope}"}}
    token:
      request: {url: "https://x/token", form: {device_code: "${authorization.deviceCode}"}}
      response: {refreshToken: body.refresh_token, failures: [{when: 'body.error == "authorization_pending"', reason: ProviderUnavailable}]}`)
	in := provider.Inputs{AppKey: secret.New("app1"), Authorization: provider.Authorization{
		RedirectURI: "http://127.0.0.1/", State: "s1", CodeChallenge: "c1", CodeVerifier: secret.New("canary-verifier"), Code: secret.New("canary-code"), DeviceCode: secret.New("canary-device")}}
	page, err := p.Authorize.Page.Begin(in, now, "id").Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("https://x.example/authorize?client_id=app1&code_challenge=c1&code_challenge_method=S256&redirect_uri=http%3A%2F%2F127.0.0.1%2F&response_type=code&state=s1", page.URL.String()); diff != "" {
		t.Errorf("the page, without a scope that nobody asked for (-want +got):\n%s", diff)
	}
	if p.Authorize.PKCE != v1alpha1.PKCES256 {
		t.Errorf("PKCE: got %q", p.Authorize.PKCE)
	}
	granted := p.Authorize.Code.Begin(in, now, "id").Read(reply(200, `{"refresh_token":"r1"}`))
	if granted.Reason != "Refreshed" || granted.Grant.RefreshToken.Reveal() != "r1" {
		t.Errorf("a refresh token is enough: got %+v", granted)
	}
	refused := p.Authorize.Code.Begin(in, now, "id").Read(reply(400, `{"message":"canary-code and canary-verifier and canary-device"}`))
	if strings.Contains(refused.Message, "canary") {
		t.Errorf("the message quotes a secret: %s", refused.Message)
	}
	device := p.Authorize.Device.Begin(in, now, "id").Read(reply(200, `{"device_code":"d","user_code":"U","verification_uri":"https://x/d","interval":5,"expires_in":900}`))
	want := map[string]any{provider.DeviceCodeOutput: "d", provider.UserCodeOutput: "U", provider.VerificationURIOutput: "https://x/d", provider.IntervalOutput: int64(5), provider.ExpiresInOutput: int64(900)}
	if diff := cmp.Diff(want, device.Grant.Outputs); diff != "" {
		t.Errorf("RFC 8628 section 3.2 (-want +got):\n%s", diff)
	}
	if pending := p.Authorize.DeviceToken.Begin(in, now, "id").Read(reply(400, `{"error":"authorization_pending"}`)); pending.Reason != "ProviderUnavailable" {
		t.Errorf("RFC 8628 section 3.5: got %+v", pending)
	}
}
