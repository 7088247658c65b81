// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// withAppToken is the provider of the scene with a call before the refresh, whose output
// the refresh sends.
func withAppToken(described, response string) string {
	return strings.Replace(described, `refresh_token: "${refreshToken}"`, `refresh_token: "${refreshToken}", app: "${outputs.app_token}"`, 1) + `
prepare:
- request: {method: POST, url: "https://apps.example/token", form: {secret: "${app.secret}", at: "${string(now)}", id: "${uuid()}"}}
  response: {outputs: {app_token: body.app_token}, ` + response + `failures: [{when: "status == 401", reason: AppRejected}]}
`
}

const appToken = "app-token-canary"

func grantsAppToken() func() (*egress.Reply, error) {
	return replies(http.StatusOK, `{"app_token": "`+appToken+`", "expires_in": 7200}`)
}

func TestWhatAPrepareCallGaveIsUsedAsLongAsItIsGood(t *testing.T) {
	t.Parallel()
	const apps = "apps.example"
	for _, each := range []struct {
		name, reason string
		response     string
		between      func(s *scene) // two visits
		hosts        []string       // of the second
	}{
		{"it is good for hours", "it need not be asked for with each refresh", "expiresIn: body.expires_in, ", func(s *scene) { s.clock.SetTime(noon.Add(time.Hour)) }, []string{host}},
		{"it does not say", "then it is good for one", "", func(*scene) {}, []string{apps, host}},
		{"it has expired", "the refresh would fail for it", "expiresIn: body.expires_in, ", func(s *scene) { s.clock.SetTime(noon.Add(2 * time.Hour)) }, []string{apps, host}},
		{"it expires within the exchange", "the refresh may come too late", "expiresIn: body.expires_in, ", func(s *scene) { s.clock.SetTime(noon.Add(2*time.Hour - 10*time.Second)) }, []string{apps, host}},
		{"it claims to be good for a year", "nothing is taken to be good for more than a day", "expiresIn: \"31536000\", ", func(s *scene) { s.clock.SetTime(noon.Add(25 * time.Hour)) }, []string{apps, host}},
		{"the app's secret is another", "it is another request", "expiresIn: body.expires_in, ", func(s *scene) { s.changes("app", "app_secret", "another-secret") }, []string{apps, host}},
		{"another process", "it is in memory alone", "expiresIn: body.expires_in, ", func(s *scene) {
			s.start(withAppToken(singleUse, "expiresIn: body.expires_in, "), "two")
		}, []string{apps, host}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, withAppToken(singleUse, each.response))
			s.provider.answer(grantsAppToken(), rotates(second))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(s.provider.calls[1].body, appToken) || strings.Contains(s.provider.calls[0].body, seed) {
				t.Error("the refresh lacks what the call before it gave, or that one was shown the refresh token")
			}
			each.between(s)
			before := len(s.hosts())
			if len(each.hosts) == 2 {
				s.provider.answer(grantsAppToken())
			}
			s.provider.answer(replies(http.StatusOK, `{"access_token": "another-access-token", "expires_in": 3600, "refresh_token": "`+third+`"}`))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if asked := s.hosts()[before:]; !slices.Equal(asked, each.hosts) {
				t.Errorf("the second visit asks %v, want %v\nreason: %s", asked, each.hosts, each.reason)
			}
			if stored := s.stored(); stored.Token.Outputs["app_token"] != nil {
				t.Error("what a prepare call gave is stored")
			}
			s.isBalanced()
		})
	}
}

// TestAPrepareCallThatFailsCostsNothing fails it, before anything is claimed.
func TestAPrepareCallThatFailsCostsNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a call before the refresh that fails")
	for _, each := range []struct {
		name, reason string
		answer       func() (*egress.Reply, error)
		want         string
	}{
		{"it is down", "that is the default", replies(http.StatusBadGateway, ``), v1alpha1.ProviderUnavailableReason},
		{"it does not answer", "nothing that could be spent was sent", breaksOff(), v1alpha1.ProviderUnavailableReason},
		{"it refuses the app", "a person must act", replies(http.StatusUnauthorized, `{}`), v1alpha1.AppRejectedReason},
		{"it brings nothing", "the refresh could not be made", replies(http.StatusOK, `{}`), v1alpha1.RequestRejectedReason},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, withAppToken(singleUse, ""))
			s.provider.answer(each.answer)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want || !result.Called {
				t.Errorf("it ends with %q (%v), called: %t; want %q\nreason: %s", got, err, result.Called, each.want, each.reason)
			}
			if s.writes() > 0 || len(s.hosts()) != 1 {
				t.Errorf("%d writes and calls to %v: the token was claimed or sent", s.writes(), s.hosts())
			}
			s.provider.answer(grantsAppToken(), rotates(second))
			if _, err := s.renew(t.Context()); err != nil {
				t.Errorf("the next visit ends with %v", err)
			}
			s.isBalanced()
		})
	}
}

// TestAPrepareCallIsNotMadeAgainForARefreshThatHadToWait lets the refresh wait for a slot.
func TestAPrepareCallIsNotMadeAgainForARefreshThatHadToWait(t *testing.T) {
	t.Parallel()
	s := newScene(t, withAppToken(singleUse, ""))
	other := pace.Waiter{Who: types.NamespacedName{Namespace: "elsewhere", Name: "other"}, Class: pace.New}
	var taken []pace.Waiter
	for s.Calls.Hosts.Enter(host, other, noon) == pace.Go {
		taken = append(taken, other)
		other.Who.Namespace += "-"
	}
	s.Calls.Hosts.Forget(other.Who, noon)
	s.provider.answer(grantsAppToken())
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Fatalf("it ends with %v, want a pause", err)
	}
	for _, each := range taken {
		s.Calls.Hosts.Leave(host, each, pace.Served, false, noon)
	}
	s.provider.answer(rotates(second), grantsAppToken(), rotates(third))
	for range 2 {
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if hosts := s.hosts(); !slices.Equal(hosts, []string{"apps.example", host, "apps.example", host}) {
		t.Errorf("it asks %v: what it gave waits for its refresh, and is good for no other", hosts)
	}
}

// discovering is the provider of the scene with hosts that a document names.
func discovering(issuer string) string {
	return strings.NewReplacer("https://shop.example/token", "https://${outputs.token_host}/token", "https://shop.example/login", "https://login.example/login").Replace(singleUse) + `
prepare:
- request: {method: GET, url: "https://` + issuer + `/.well-known/openid-configuration"}
  response: {outputs: {token_host: body.token_host}}
`
}

func names(tokenHost string) func() (*egress.Reply, error) {
	return replies(http.StatusOK, `{"token_host": "`+tokenHost+`"}`)
}

// TestADiscoveredHostIsBoundWithTheGrant lets the issuer name another host than it did.
func TestADiscoveredHostIsBoundWithTheGrant(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an issuer whose discovery names another host")
	const issuer, thief = "issuer.example", "thief.example"
	for _, each := range []struct {
		name, reason string
		issuer       string
		change       func(s *scene)
		answers      []func() (*egress.Reply, error)
		hosts        []string // of the second visit
		want         string
	}{
		{"the same host", "nothing has changed", issuer, func(*scene) {}, []func() (*egress.Reply, error){names(host), rotates(third)}, []string{issuer, host}, ""},
		{"another host", "whoever holds the document now may not be who gave the token", issuer, func(*scene) {}, []func() (*egress.Reply, error){names(thief)}, []string{issuer}, v1alpha1.ReauthorizationRequiredReason},
		{"another issuer", "it is not the one that the token came from", "other.example", func(*scene) {}, nil, nil, v1alpha1.ReauthorizationRequiredReason},
		{"another host, and a new seed", "that is a new grant", issuer, func(s *scene) { s.gives(third) }, []func() (*egress.Reply, error){names("new.example"), rotates("fourth")}, []string{issuer, "new.example"}, ""},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, discovering(issuer))
			s.provider.answer(names(host), rotates(second))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if discovered := s.stored().Origin.Discovered; discovered != "https://"+host {
				t.Fatalf("the grant is bound to %q, want the host that was discovered", discovered)
			}
			s.start(discovering(each.issuer), "two")
			each.change(s)
			before := len(s.hosts())
			s.provider.answer(each.answers...)
			_, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("it ends with %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if asked := s.hosts()[before:]; !slices.Equal(asked, each.hosts) {
				t.Errorf("it asks %v, want %v\nreason: %s", asked, each.hosts, each.reason)
			}
			if each.want != "" && s.stored().RefreshToken.Reveal() != second {
				t.Error("the live refresh token is lost")
			}
		})
	}
}

// changes a key of a Secret.
func (s *scene) changes(name, key, value string) {
	s.Helper()
	changed := s.secret(name)
	changed.Data[key] = []byte(value)
	if err := s.cluster.Update(s.Context(), changed); err != nil {
		s.Fatal(err)
	}
}
