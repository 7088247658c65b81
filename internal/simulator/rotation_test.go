// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRotation sends tokens, some of them after a while, and looks at what the
// grant has become.
func TestRotation(t *testing.T) {
	t.Parallel()
	const first, second, third = DemoOAuthRefreshToken, "refresh-demo-oauth2-2", "refresh-demo-oauth2-3"
	type step struct {
		after  time.Duration
		token  string
		status int
	}
	type outcome struct {
		Current                         string
		Refreshes, Reuses, WindowReuses int
		Revoked                         bool
	}
	for _, c := range []struct {
		name     string
		rotation Rotation
		steps    []step
		want     outcome
		reason   string
	}{
		{"a token works once", Rotation{}, []step{{0, first, 200}, {0, first, 400}, {0, second, 200}},
			outcome{third, 2, 1, 0, false}, "single use by default, and a reuse is counted"},
		{"a reuse revokes the family by switch", Rotation{RevokeOnReuse: true}, []step{{0, first, 200}, {0, first, 400}, {0, second, 400}},
			outcome{second, 1, 1, 0, true}, "RFC 9700 section 4.14.2; the live token is no reuse"},
		{"the last spent token works in the window", Rotation{ReuseWindow: Minute, RevokeOnReuse: true}, []step{{0, first, 200}, {59 * time.Second, first, 200}},
			outcome{third, 2, 0, 1, false}, "the lost reply is made good"},
		{"the window ends", Rotation{ReuseWindow: Minute}, []step{{0, first, 200}, {60 * time.Second, first, 400}},
			outcome{second, 1, 1, 0, false}, "a minute is over at 60 s"},
		{"the window is not for older tokens", Rotation{ReuseWindow: Minute}, []step{{0, first, 200}, {0, second, 200}, {0, first, 400}},
			outcome{third, 2, 1, 0, false}, "its successor was used, so nothing was lost"},
		{"the place of the one before is taken", Rotation{ReuseWindow: Minute}, []step{{0, first, 200}, {0, first, 200}, {2 * time.Minute, second, 400}, {0, third, 200}},
			outcome{"refresh-demo-oauth2-4", 3, 1, 1, false}, "only the newest goes on"},
		{"a reusable token goes on working", Rotation{Mode: Reusable}, []step{{0, first, 200}, {0, first, 200}, {0, second, 200}},
			outcome{"refresh-demo-oauth2-4", 3, 0, 0, false}, "Microsoft's way"},
		{"never another token", Rotation{NewRefreshToken: Never}, []step{{0, first, 200}, {0, first, 200}},
			outcome{first, 2, 0, 0, false}, "nothing replaces it, so it is not spent"},
		{"sometimes another token", Rotation{NewRefreshToken: Sometimes, Every: 3}, []step{{0, first, 200}, {0, first, 200}, {0, first, 200}, {0, first, 400}},
			outcome{second, 3, 1, 0, false}, "QuickBooks' way: the third brings one"},
		{"an expired token does not work in the window", Rotation{ReuseWindow: 60 * Day}, []step{{0, first, 200}, {30 * 24 * time.Hour, first, 400}},
			outcome{second, 1, 0, 0, false}, "its lifetime is over, and it is no reuse either"},
		{"a token expires", Rotation{}, []step{{30 * 24 * time.Hour, first, 400}},
			outcome{first, 0, 0, 0, false}, "30 days"},
		{"an unknown token is no reuse", Rotation{RevokeOnReuse: true}, []step{{0, "unknown", 400}},
			outcome{first, 0, 0, 0, false}, "it belongs to no family"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, clock := newTest(t, Options{OAuth: OAuthOptions{Rotation: c.rotation}})
			for i, step := range c.steps {
				clock.move(step.after)
				if reply := oauthRefresh(step.token).send(t, s); reply.Code != step.status {
					t.Errorf("step %d: status %d, want %d: %s", i+1, reply.Code, step.status, c.reason)
				}
			}
			state := grantOf(t, s, DemoOAuthGrant)
			got := outcome{state.Current, state.Refreshes, state.Reuses, state.WindowReuses, state.Revoked}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("grant (-want +got): %s\n%s", c.reason, diff)
			}
		})
	}
}

func TestRotationOfOneGrant(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	if _, err := s.Add(Seed{Grants: []Grant{{ID: "own", Vendor: Xiaomi, App: DemoXiaomiClientID, RefreshToken: "own-1", Rotation: &Rotation{Mode: Reusable}}}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if reply := xiaomiRefresh("own-1").send(t, s); strings.Contains(reply.Body.String(), "error") {
			t.Errorf("this grant's tokens are reusable: %s", reply.Body)
		}
	}
	if reply := xiaomiRefresh(DemoXiaomiRefreshToken).send(t, s); strings.Contains(reply.Body.String(), "error") {
		t.Errorf("the first use is fine: %s", reply.Body)
	}
	if reply := xiaomiRefresh(DemoXiaomiRefreshToken).send(t, s); !strings.Contains(reply.Body.String(), "96009") {
		t.Errorf("the other grants' are not: %s", reply.Body)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s, clock := newTest(t, Options{HistorySize: 2})
	want := []TokenState{
		{Value: "refresh-demo-oauth2-2", Number: 2, IssuedAt: start, ExpiresAt: start.Add(30 * 24 * time.Hour), SpentAt: start.Add(time.Minute), Uses: 1},
		{Value: "refresh-demo-oauth2-3", Number: 3, IssuedAt: start.Add(time.Minute), ExpiresAt: start.Add(time.Minute + 30*24*time.Hour)},
	}
	oauthRefresh(DemoOAuthRefreshToken).send(t, s)
	clock.move(time.Minute)
	oauthRefresh("refresh-demo-oauth2-2").send(t, s)
	if diff := cmp.Diff(want, grantOf(t, s, DemoOAuthGrant).History); diff != "" {
		t.Errorf("the last two tokens are remembered (-want +got):\n%s", diff)
	}
	if _, found := s.GrantOf(DemoOAuthRefreshToken); found {
		t.Error("an older token is forgotten")
	}
	oauthRefresh(DemoOAuthRefreshToken).send(t, s)
	if got := s.Totals(); got != (Totals{Grants: 5, Refreshes: 2, UnknownTokens: 1}) {
		t.Errorf("totals %+v: a forgotten token counts as unknown", got)
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	s, clock := newTest(t, Options{Xiaomi: XiaomiOptions{AccessTokenLifetime: 5 * Second}})
	xiaomiRefresh(DemoXiaomiRefreshToken).send(t, s)
	const token = "access-demo-xiaomi-1"
	clock.move(5*time.Second - 1)
	if !s.AccessTokenValid(token) {
		t.Error("a token is valid until it expires")
	}
	if s.AccessTokenValid("refresh-demo-xiaomi-2") {
		t.Error("a refresh token is no access token")
	}
	if reply := xiaomiRefresh(token).send(t, s); !strings.Contains(reply.Body.String(), "96009") {
		t.Errorf("an access token is no refresh token: %s", reply.Body)
	}
	clock.move(1)
	if s.AccessTokenValid(token) {
		t.Error("a token is not valid once it has expired")
	}
	xiaomiRefresh("refresh-demo-xiaomi-2").send(t, s)
	if !s.AccessTokenValid("access-demo-xiaomi-2") {
		t.Error("the next one is valid")
	}
	if !s.Revoke(DemoXiaomiGrant) || s.AccessTokenValid("access-demo-xiaomi-2") {
		t.Error("a revoked grant's tokens are not valid")
	}
	if reply := xiaomiRefresh("refresh-demo-xiaomi-3").send(t, s); !strings.Contains(reply.Body.String(), "96009") {
		t.Errorf("nor can it be refreshed: %s", reply.Body)
	}
}

func TestOddTokensAreSentByteForByte(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"a\nb", "a\x00b", "a\xffb", `a"\b`} {
		s, _ := newTest(t, Options{NewToken: func(TokenRequest) string { return odd }})
		reply := oauthRefresh(DemoOAuthRefreshToken).send(t, s)
		quoted := strings.Replace(fmt.Sprintf(`"refresh_token":%s`, mustQuote(odd)), `\ufffd`, "\xff", 1)
		if !strings.Contains(reply.Body.String(), quoted) {
			t.Errorf("the reply must hold %q: %q", quoted, reply.Body)
		}
		if got := grantOf(t, s, DemoOAuthGrant).Current; got != odd {
			t.Errorf("current is %q, want %q", got, odd)
		}
	}
}

func mustQuote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

func TestOnlyOneOfManyAtOnceSpendsAToken(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() { xiaomiRefresh(DemoXiaomiRefreshToken).send(t, s) })
	}
	running.Wait()
	state := grantOf(t, s, DemoXiaomiGrant)
	if state.Refreshes != 1 || state.Reuses != 19 {
		t.Errorf("%d refreshes and %d reuses, want 1 and 19", state.Refreshes, state.Reuses)
	}
}

func TestEarlierLoginsAreForgottenOnceOver(t *testing.T) {
	t.Parallel()
	s, clock := newTest(t, Options{})
	login := request{"POST", "https://shop.example.com/ccadmin/v1/login", "Bearer " + DemoOracleApplicationKey, formType, "grant_type=client_credentials"}
	for range 200 {
		if reply := login.send(t, s); reply.Code != 200 {
			t.Fatalf("status %d: %s", reply.Code, reply.Body)
		}
		clock.move(time.Minute)
	}
	if got := s.Totals().Grants; got > 64 {
		t.Errorf("%d grants are kept of 200 logins with five minutes each", got)
	}
}

func TestAddRefusesWhole(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	for _, c := range []struct {
		name, want string
		seed       Seed
	}{
		{"an unknown vendor", "none of", Seed{Users: []User{{Vendor: "mediatek", Name: "u"}}}},
		{"a grant that exists", "choose another id", Seed{Grants: []Grant{{ID: DemoMCSGrant, Vendor: MCS, App: DemoMCSAppKey}}}},
		{"one identifier twice", "choose another id", Seed{Grants: []Grant{{ID: "x", Vendor: OracleStore}, {ID: "x", Vendor: OracleStore}}}},
		{"an unknown app", "not registered", Seed{Grants: []Grant{{Vendor: Xiaomi, App: "1"}}}},
	} {
		if _, err := s.Add(c.seed); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if got := s.Totals().Grants; got != 5 {
		t.Errorf("%d grants, want the demo's 5", got)
	}
}
