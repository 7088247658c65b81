// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// failure is a reply that brings no token, to a credential that has one.
type failure struct {
	name   string
	reason string

	provider string
	fault    simulator.Fault
	// condition is the reason of Refreshed, event that of the event.
	condition, event string
	stalled          bool
	says             string
	// pause is the least time until the next attempt.
	pause time.Duration
	// cure leads to a refresh; nil: the next attempt goes well by itself, as
	// soon as it is asked for.
	cure func(*world)
}

func reply(status int, header http.Header, body string) simulator.Fault {
	return simulator.Fault{Reply: &simulator.Reply{Status: status, Header: header, Body: body}}
}

func failures() []failure {
	const rateLimited = "the provider asks for fewer calls"
	return []failure{
		{
			name: "503 of a Reusable provider", reason: "nothing is spent, so it is tried again", provider: "mcs",
			fault:     reply(503, nil, "<html>unavailable</html>"),
			condition: v1alpha1.ProviderUnavailableReason, event: v1alpha1.RefreshFailedEvent, says: "tried again",
		},
		{
			name: "503 with Retry-After", reason: "the provider says when", provider: "oauth2",
			fault:     reply(503, http.Header{"Retry-After": {"300"}}, ""),
			condition: v1alpha1.ProviderUnavailableReason, event: v1alpha1.RefreshFailedEvent, says: "tried again", pause: 300 * time.Second,
		},
		{
			name: "429 with Retry-After", reason: "to ask earlier would make it worse", provider: "xiaomi",
			fault:     reply(429, http.Header{"Retry-After": {"120"}}, ""),
			condition: v1alpha1.RateLimitedReason, event: v1alpha1.RefreshFailedEvent, says: rateLimited, pause: 120 * time.Second,
		},
		{
			name: "a reset of a Reusable provider", reason: "nothing is spent, so it is tried again", provider: "mcs",
			fault:     simulator.Fault{Reset: true},
			condition: v1alpha1.ProviderUnavailableReason, event: v1alpha1.RefreshFailedEvent, says: "no answer",
		},
		{
			name: "the refresh token is refused", reason: "a person must authorize again", provider: "oauth2",
			fault:     reply(400, nil, `{"error":"invalid_grant"}`),
			condition: v1alpha1.ReauthorizationRequiredReason, event: v1alpha1.ReauthorizationRequiredReason, stalled: true, says: "authorize again",
			cure: func(w *world) {
				_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
					{ID: "other", Vendor: simulator.OAuth, App: simulator.DemoOAuthClientID, RefreshToken: otherSeed},
				}})
				must(w.t, err)
				w.secret("oauth2-seed", map[string]string{"refresh_token": otherSeed})
			},
		},
		{
			name: "the app is refused", reason: "a person must correct the app", provider: "xiaomi",
			fault:     reply(200, nil, `&&&START&&&{"error":96003,"error_description":"invalid client"}`),
			condition: v1alpha1.AppRejectedReason, event: v1alpha1.RefreshFailedEvent, stalled: true, says: "spec.appSecretRef",
			cure: func(w *world) {
				w.secret("xiaomi-app", map[string]string{
					"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret, "note": "corrected"})
			},
		},
	}
}

func TestAFailedRefreshIsToldAndRecoversFrom(t *testing.T) {
	t.Parallel()
	for _, each := range failures() {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Hour)
			w.start()
			b := builtInNamed(t, each.provider)
			b.create(w)
			w.awaitFresh(b.provider)
			w.awaitEvents(b.provider, v1alpha1.RefreshedReason, 1)
			calls := w.calls()
			w.simulator.QueueFault(simulator.Match{Vendor: b.vendor}, 1, each.fault)
			w.askForRefresh(b.provider, "fails")
			c, refreshed := w.awaitCondition(b.provider, v1alpha1.RefreshedCondition, metav1.ConditionFalse, each.condition)
			each.check(w, c, refreshed)
			w.awaitEvents(b.provider, each.event, 1)

			if each.cure == nil {
				w.askForRefresh(b.provider, "goes well")
			} else {
				w.awaitLook(b.provider)
				if got := w.calls() - calls; got != 1 {
					t.Errorf("a stalled credential made %d calls, want 1\nreason: %s", got, each.reason)
				}
				each.cure(w)
			}
			w.awaitRefreshes(b.provider, 2)
			w.awaitFresh(b.provider)
			w.awaitEvents(b.provider, v1alpha1.RefreshedReason, 2)
			if got := w.events(b.provider, each.event); got != 1 {
				t.Errorf("there are %d events %s, want 1\nreason: %s", got, each.event, each.reason)
			}
			if totals := w.simulator.Totals(); totals.Reuses != 0 {
				t.Errorf("a spent token was sent\nreason: %s", each.reason)
			}
		})
	}
}

// check checks what is told of the failure while the old token lives.
func (each failure) check(w *world, c *v1alpha1.TokenCredential, refreshed *metav1.Condition) {
	w.t.Helper()
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ReadyCondition) {
		w.t.Errorf("Ready is not True while the old token lives\nreason: %s\n%s", each.reason, describe(c))
	}
	if !strings.Contains(refreshed.Message, each.says) {
		w.t.Errorf("the message does not say %q: %s", each.says, refreshed.Message)
	}
	if stalled := meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.StalledCondition); stalled != each.stalled {
		w.t.Errorf("Stalled is %t, want %t\nreason: %s", stalled, each.stalled, each.reason)
	}
	if c.Status.FailedAttempts != 1 || c.Status.LastFailureTime == nil || c.Status.LastHandledRefreshAt != "fails" {
		w.t.Errorf("the failed attempt is not counted or not echoed: %+v", c.Status)
		return
	}
	switch next := c.Status.NextRefreshTime; {
	case each.stalled && next != nil:
		w.t.Errorf("the next attempt is planned at %s although a person must act", next)
	case !each.stalled && (next == nil || next.Sub(c.Status.LastFailureTime.Time) < each.pause || next.Sub(c.Status.LastFailureTime.Time) > each.pause*5/4+3*time.Second):
		w.t.Errorf("the next attempt is planned at %v, want at least %s after %s", next, each.pause, c.Status.LastFailureTime)
	}
}

func TestReadyTurnsFalseAtExpiryAndTheBackoffOutlivesARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*simulator.Second)
	operator := w.start()
	b := builtInNamed(t, "oauth2-client-credentials")
	b.create(w)
	w.awaitRefreshes(b.provider, 1)
	vendor := simulator.Match{Vendor: b.vendor}
	w.simulator.SetUnavailable(vendor, true)
	failed, _ := w.awaitCondition(b.provider, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	if !meta.IsStatusConditionTrue(failed.Status.Conditions, v1alpha1.ReadyCondition) && time.Now().Before(failed.Status.ExpirationTime.Time) {
		t.Errorf("Ready is not True while the old token lives:\n%s", describe(failed))
	}
	expired, _ := w.awaitCondition(b.provider, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	if time.Now().Before(expired.Status.ExpirationTime.Time) {
		t.Error("Ready turned False before the token expired")
	}
	w.await(b.provider, "three failures", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts >= 3 })
	operator.shutDown()
	counted := w.look(b.provider)
	w.start()
	again := w.await(b.provider, "one failure more", func(c *v1alpha1.TokenCredential) bool {
		return c.Status.FailedAttempts > counted.Status.FailedAttempts
	})
	if again.Status.FailedAttempts != counted.Status.FailedAttempts+1 || again.Status.LastFailureTime.Before(counted.Status.NextRefreshTime) {
		t.Errorf("the restart forgot the backoff: %d failures before and %d after, the last at %s although the next was due at %s",
			counted.Status.FailedAttempts, again.Status.FailedAttempts, again.Status.LastFailureTime, counted.Status.NextRefreshTime)
	}
	w.simulator.SetUnavailable(vendor, false)
	w.askForRefresh(b.provider, "now")
	w.awaitRefreshes(b.provider, 2)
	w.await(b.provider, "recovered", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts == 0 })
	if got := w.events(b.provider, v1alpha1.RefreshFailedEvent); got != 1 {
		t.Errorf("there are %d events RefreshFailed for one outage, want 1", got)
	}
}

func TestARefusedRefreshFallsBackToLogin(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name     string
		reason   string
		provider string
		login    map[string]string
	}{
		{"MCS with a login", "the user token lives two weeks, the password longer", "mcs",
			map[string]string{"email": simulator.DemoMCSEmail, "password": simulator.DemoMCSPassword}},
		{"Oracle Commerce", "an access token that has expired cannot refresh", "oracle-commerce-admin",
			map[string]string{"applicationKey": simulator.DemoOracleApplicationKey}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Hour)
			w.start()
			b := builtInNamed(t, each.provider)
			b.login = each.login
			b.create(w)
			first := w.awaitFresh(b.provider)
			grant, _ := w.simulator.GrantOf(string(w.read(b.target())["access_token"]))
			w.simulator.Revoke(grant.ID)
			logins := w.simulator.Calls(simulator.Match{Vendor: b.vendor, Endpoint: simulator.Login})
			w.askForRefresh(b.provider, "refused")
			w.awaitRefreshes(b.provider, first.Status.RefreshCount+1)
			w.awaitFresh(b.provider)
			if got := w.simulator.Calls(simulator.Match{Vendor: b.vendor, Endpoint: simulator.Login}) - logins; got != 1 {
				t.Errorf("there were %d logins, want 1\nreason: %s", got, each.reason)
			}
			if token := string(w.read(b.target())["access_token"]); !w.simulator.AccessTokenValid(token) {
				t.Errorf("the target holds no valid token\nreason: %s", each.reason)
			}
		})
	}
}
