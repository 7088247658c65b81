// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/cost"
)

const (
	// largestReply is what egress lets through by default, in bytes.
	largestReply = 256 << 10

	// mostAllocated is how much reading one reply may allocate in all, in bytes, what
	// was freed on the way included. A reply of the bounds takes a third of it.
	mostAllocated = 24 << 20

	// mostTime is how much of a processor's time reading one reply may take: twenty times
	// what one of the bounds takes, for slower machines.
	mostTime = time.Second
)

// hostile loops over the body, searches and matches it, and takes of it all there is.
const hostile = `
refresh:
  request: {url: "https://x.example/token", form: {refresh_token: "${refreshToken}"}}
  response:
    prefix: "&&&START&&&"
    success: status == 200 && !has(body.error)
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    expiresIn: body.?expires_in
    expiresAt: body.?expires_at
    outputs: {all: body, listed: "body.list.filter(x, x == body.text).map(x, [x, x])", claims: jwt.claims(body.access_token)}
    failures:
    - {when: 'string(body.message).lowerAscii().matches("(invalid|expired).*(token|grant)")', reason: ReauthorizationRequired}
    - {when: 'body.list.exists(x, x == body.text) || body.text.indexOf(body.message) >= 0', reason: AppRejected}
    - {when: 'string(body).split(",").exists(x, x == "y")', reason: RateLimited}
    message: body.message
rotation: {mode: SingleUse}
`

func FuzzRead(f *testing.F) {
	refresh := compiled(f, hostile).Refresh
	for _, seed := range []string{
		`&&&START&&&{"access_token":"a","refresh_token":"r","expires_in":3600}`,
		`access_token=a&refresh_token=r&expires_in=60`,
		`callback({"access_token":"a"});`,
		`<html>`, "\xef\xbb\xbf{}", `{"list":["y","y"],"text":"y","message":"invalid token"}`,
		`{"access_token":"` + strings.Repeat("x", token.MaxSize+1) + `"}`,
		`[` + strings.Repeat(`{"":0},`, 30_000),
		`{"x":` + strings.Repeat("[", 100_000),
		`{"list":[` + strings.Repeat(`"yyyy",`, 4_000) + `"y"],"text":"y"}`,
		`{"text":"` + strings.Repeat("a", 60_000) + `b","list":["` + strings.Repeat("a", 120_000) + `"]}`,
		`{"message":"` + strings.Repeat("invalid ", 20_000) + `"}`,
		`Warning: {main} [5] in {closure}` + "\n" + `{"access_token":"a","refresh_token":"r","expires_at":"2026-01-02 03:05:05"}<html>`,
		`{"access_token":"a","refresh_token":"r","expires_in":"PT1H",}`, `"tok"`, "\xff\xfe{\x00}\x00", "x\naccess_token=a&refresh_token=r\n",
		strings.Repeat(`[{"`, 80_000), strings.Repeat(`{"a":"b"}`, 25_000), strings.Repeat("x=1&y=2 ", 30_000),
		strings.Repeat("\xff", largestReply), strings.Repeat("a=&", 80_000), `{"a":` + strings.Repeat("9", 200_000) + `}`,
	} {
		f.Add(seed, 200, "120", false)
	}
	f.Fuzz(func(t *testing.T, body string, status int, retryAfter string, cutShort bool) {
		if len(body) > largestReply {
			t.Skip()
		}
		header := http.Header{"Retry-After": {retryAfter}, "X-Request-Id": {retryAfter}}
		var outcome provider.Outcome
		took := cost.Of(t, func() {
			outcome = refresh.Begin(inputs(), now, "id").Read(provider.Reply{Status: status, Header: header, Body: []byte(body), CutShort: cutShort})
		})
		if took.Processor > mostTime {
			t.Errorf("it took %s", took.Processor)
		}
		if took.Allocated > mostAllocated {
			t.Errorf("it allocated %d bytes", took.Allocated)
		}
		switch {
		case outcome.Reason == "" || outcome.Message == "the provider's reply could not be read" && !cutShort:
			t.Errorf("reading panicked: %+v", outcome)
		case outcome.Reason == "Refreshed" && outcome.Grant.AccessToken.IsZero():
			t.Error("success without an access token")
		case len(outcome.Grant.AccessToken.Reveal()) > token.MaxSize, len(outcome.Grant.RefreshToken.Reveal()) > token.MaxSize:
			t.Error("a token is larger than can be kept")
		case strings.ContainsAny(outcome.Message, "\n\x00") || len(outcome.Message) > 1<<11:
			t.Errorf("the message cannot be shown: %q", outcome.Message)
		case strings.Contains(outcome.Message, "canary"):
			t.Errorf("the message holds a secret: %q", outcome.Message)
		}
		if life := outcome.Grant.ExpiresAt.Sub(now); !cutShort && outcome.Grant.ExpiresAt.After(time.Time{}) && (life <= 0 || life > 3653*24*time.Hour) {
			t.Errorf("an unfit lifetime: %v", life)
		}
	})
}

func FuzzParameters(f *testing.F) {
	described := compiled(f, `
inputs:
  parameters:
  - {name: site, pattern: "^[a-z0-9.-]{1,253}$", required: true}
  - {name: scope, pattern: "^(([a-z]+)+ ?)+$"}
  - {name: path, default: thirdparty}
login:
  request:
    url: "https://${parameters.site}/${url.escape(parameters.path)}"
    form: {scope: "${parameters.?scope}"}
  response: {accessToken: body.a}
`)
	f.Add("site", "shop.example.com", "scope", "read write")
	f.Add("site", "x@evil.example/", "path", "../../admin?x#y")
	f.Add("scope", strings.Repeat("a", 2_048)+"!", "site", "a")
	f.Add(strings.Repeat("n", 100), "x", "", "\x00")
	f.Fuzz(func(t *testing.T, name, value, other, second string) {
		values, err := described.Parameters(map[string]string{name: value, other: second})
		if err != nil {
			if len(err.Error()) > 4<<10 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			return
		}
		request, err := described.Login.Begin(provider.Inputs{Parameters: values}, now, "id").Request(t.Context())
		if err != nil {
			return
		}
		if host := request.URL.Host; host != values["site"] {
			t.Errorf("the host is %q, and the parameter that was checked is %q", host, values["site"])
		}
	})
}
