// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// userEdit is something that a user does to a fresh credential.
type userEdit struct {
	name     string
	reason   string // why it must lead to what it does
	provider string

	do func(*world)
	// until tells whether the operator has done what it should, of the
	// credential before the edit and now.
	until func(w *world, before, now *v1alpha1.TokenCredential) bool
	// calls to the provider that the edit leads to.
	calls int64
	// event that it leads to, and how many of them there are at the end.
	event  string
	events int
}

func TestAnEditLeadsToWhatItShouldAndNoMore(t *testing.T) {
	t.Parallel()
	for _, each := range userEdits() {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Hour)
			w.start()
			b := builtInNamed(t, each.provider)
			b.create(w)
			w.awaitRefreshes(b.provider, 1)
			before, calls := w.awaitFresh(b.provider), w.calls()
			each.do(w)
			if each.until != nil {
				w.await(b.provider, each.name, func(now *v1alpha1.TokenCredential) bool { return each.until(w, before, now) })
			}
			w.awaitLook(b.provider)
			after := w.awaitFresh(b.provider)
			if got := w.calls() - calls; got != each.calls {
				t.Errorf("the provider got %d calls, want %d\nreason: %s", got, each.calls, each.reason)
			}
			if got := after.Status.RefreshCount - before.Status.RefreshCount; got != each.calls {
				t.Errorf("%d refreshes were counted, want %d\nreason: %s", got, each.calls, each.reason)
			}
			if each.event != "" {
				w.awaitEvents(b.provider, each.event, each.events)
			} else if each.calls == 0 && w.events(b.provider, v1alpha1.TargetRepairedEvent) > 0 {
				t.Errorf("the target was repaired\nreason: %s", each.reason)
			}
			if token := string(w.read(b.target())["access_token"]); each.event != "" && !w.simulator.AccessTokenValid(token) {
				t.Errorf("the target holds no valid token\nreason: %s", each.reason)
			}
			if totals := w.simulator.Totals(); totals.Reuses+int(totals.UnknownTokens) != 0 {
				t.Errorf("a spent or unknown token was sent: %+v\nreason: %s", totals, each.reason)
			}
		})
	}
}

func userEdits() []userEdit {
	return append(append(inputEdits(), targetEdits()...), metadataEdits()...)
}

func refreshedOnce(_ *world, before, now *v1alpha1.TokenCredential) bool {
	return now.Status.RefreshCount > before.Status.RefreshCount
}

// otherSeed is a refresh token of a grant that the provider has beside the first.
const otherSeed = "the-refresh-token-after-authorizing-again"

func inputEdits() []userEdit {
	return []userEdit{
		{
			name: "another seed is adopted at once", provider: "xiaomi", reason: "a person has authorized again, and the old token may be dead",
			do: func(w *world) {
				_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
					{ID: "other", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: otherSeed},
				}})
				must(w.t, err)
				w.secret("xiaomi-seed", map[string]string{"refresh_token": otherSeed})
			},
			until: func(w *world, before, now *v1alpha1.TokenCredential) bool {
				other, _ := w.simulator.Grant("other")
				return refreshedOnce(w, before, now) && w.state("xiaomi", "refresh_token") == other.Current && other.Current != otherSeed
			},
			calls: 1, event: v1alpha1.SeedAdoptedEvent, events: 2,
		},
		{
			name: "a spent seed that is put back is ignored", provider: "xiaomi", reason: "a GitOps tool does that, and to send it would revoke the grant",
			do: func(w *world) {
				_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
					{ID: "other", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: otherSeed},
				}})
				must(w.t, err)
				w.secret("xiaomi-seed", map[string]string{"refresh_token": otherSeed})
				w.awaitRefreshes("xiaomi", 2)
				w.secret("xiaomi-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
			},
			until: func(w *world, _, _ *v1alpha1.TokenCredential) bool {
				return w.events("xiaomi", v1alpha1.SpentSeedIgnoredEvent) > 0
			},
			calls: 1, event: v1alpha1.SpentSeedIgnoredEvent, events: 1,
		},
		{
			name: "another seed of a Reusable provider is adopted at once", provider: "mcs", reason: "the old one may be dead",
			do: func(w *world) {
				_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
					{ID: "other", Vendor: simulator.MCS, App: simulator.DemoMCSAppKey, RefreshToken: otherSeed},
				}})
				must(w.t, err)
				w.secret("mcs-seed", map[string]string{"refresh_token": otherSeed})
			},
			until: func(w *world, before, now *v1alpha1.TokenCredential) bool {
				return refreshedOnce(w, before, now) && w.state("mcs", "refresh_token") == otherSeed
			},
			calls: 1, event: v1alpha1.SeedAdoptedEvent, events: 2,
		},
		{
			name: "the app Secret", provider: "xiaomi", reason: "the token that was obtained is still good",
			do: func(w *world) {
				w.secret("xiaomi-app", map[string]string{
					"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret, "note": "rotated"})
			},
			until: func(_ *world, before, now *v1alpha1.TokenCredential) bool {
				return now.Status.ObservedInputs != before.Status.ObservedInputs
			},
		},
		{
			name: "the parameters", provider: "oauth2", reason: "the user asks for another token",
			do: func(w *world) {
				w.edit("oauth2", func(c *v1alpha1.TokenCredential) { c.Spec.Parameters["scope"] = "read" })
			},
			until: func(w *world, before, now *v1alpha1.TokenCredential) bool {
				return refreshedOnce(w, before, now) && string(w.read("oauth2-token")["scope"]) == "read"
			},
			calls: 1,
		},
		{
			name: "the parameters of a provider without a refresh token", provider: "oauth2-client-credentials", reason: "the user asks for another token",
			do: func(w *world) {
				w.edit("oauth2-client-credentials", func(c *v1alpha1.TokenCredential) { c.Spec.Parameters["scope"] = "read" })
			},
			until: func(w *world, before, now *v1alpha1.TokenCredential) bool {
				return refreshedOnce(w, before, now) && string(w.read("oauth2-client-credentials-token")["scope"]) == "read"
			},
			calls: 1,
		},
		{
			name: "the renewal", provider: "xiaomi", reason: "the token is the same, only its renewal moves",
			do: func(w *world) {
				w.edit("xiaomi", func(c *v1alpha1.TokenCredential) { c.Spec.Renewal.Percentage = 40 })
			},
			until: func(_ *world, before, now *v1alpha1.TokenCredential) bool {
				moved := before.Status.NextRefreshTime.Sub(now.Status.NextRefreshTime.Time)
				return moved > 21*time.Minute && moved < 25*time.Minute // 40 % of an hour, less its share of the jitter
			},
		},
		{
			name: "suspend with a refresh asked for, and resume", provider: "xiaomi", reason: "what was asked for waits until the credential is resumed",
			do: func(w *world) {
				w.edit("xiaomi", func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })
				suspended, _ := w.awaitCondition("xiaomi", v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.TokenValidReason)
				if suspended.Status.NextRefreshTime != nil {
					w.t.Errorf("a suspended credential has the next refresh planned at %s", suspended.Status.NextRefreshTime)
				}
				w.askForRefresh("xiaomi", "while suspended")
				calls := w.calls()
				if seen := w.awaitLook("xiaomi"); w.calls() != calls || seen.Status.LastHandledRefreshAt != "" {
					w.t.Errorf("a suspended credential was refreshed:\n%s", describe(seen))
				}
				w.edit("xiaomi", func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = false })
			},
			until: func(_ *world, _, now *v1alpha1.TokenCredential) bool {
				return now.Status.LastHandledRefreshAt == "while suspended"
			},
			calls: 1,
		},
	}
}

// targetEdits are done to the target, directly or through its template.
func targetEdits() []userEdit {
	template := func(name string) func(*world) {
		return func(w *world) {
			w.edit(name, func(c *v1alpha1.TokenCredential) {
				c.Spec.Target.Template = &v1alpha1.TargetTemplate{
					Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{"app": "shop"}},
					Data:     map[string]string{"AUTHORIZATION": "Bearer ${accessToken}"},
				}
			})
		}
	}
	rewritten := func(name string) func(*world, *v1alpha1.TokenCredential, *v1alpha1.TokenCredential) bool {
		return func(w *world, _, _ *v1alpha1.TokenCredential) bool {
			data := w.read(name + "-token")
			token, bearer := strings.CutPrefix(string(data["AUTHORIZATION"]), "Bearer ")
			return bearer && len(data) == 1 && w.simulator.AccessTokenValid(token)
		}
	}
	drift := func(name string) func(*world) {
		return func(w *world) {
			w.changeSecret(name+"-token", func(s *corev1.Secret) { s.Data["access_token"] = []byte("drifted") })
		}
	}
	remove := func(name string) func(*world) { return func(w *world) { w.deleteSecret(name + "-token") } }
	repaired := func(name string) func(*world, *v1alpha1.TokenCredential, *v1alpha1.TokenCredential) bool {
		return func(w *world, _, _ *v1alpha1.TokenCredential) bool {
			return w.simulator.AccessTokenValid(string(w.read(name + "-token")["access_token"]))
		}
	}
	const (
		kept  = "the state holds the token, so nothing has to be asked for"
		asked = "the token is kept nowhere else, so it is asked for again"
		event = v1alpha1.TargetRepairedEvent
	)
	return []userEdit{
		{name: "the template, token in the state", provider: "xiaomi", reason: kept, do: template("xiaomi"), until: rewritten("xiaomi")},
		{name: "the template, only what refreshes in the state", provider: "oracle-commerce-store", reason: asked,
			do: template("oracle-commerce-store"), until: rewritten("oracle-commerce-store"), calls: 1},
		{name: "the template, token kept nowhere", provider: "mcs", reason: asked, do: template("mcs"), until: rewritten("mcs"), calls: 1},
		{name: "the target drifts, token in the state", provider: "xiaomi", reason: kept, do: drift("xiaomi"), until: repaired("xiaomi"), event: event, events: 1},
		{name: "the target is deleted, token in the state", provider: "xiaomi", reason: kept, do: remove("xiaomi"), until: repaired("xiaomi"), event: event, events: 1},
		{name: "the target drifts, token kept nowhere", provider: "mcs", reason: asked, do: drift("mcs"), until: repaired("mcs"), calls: 1, event: event, events: 1},
		{name: "the target is deleted, token kept nowhere", provider: "oauth2-client-credentials", reason: asked,
			do: remove("oauth2-client-credentials"), until: repaired("oauth2-client-credentials"), calls: 1, event: event, events: 1},
		{
			name: "a foreign label on the target", provider: "mcs", reason: "it is not the operator's business",
			do: func(w *world) {
				w.changeSecret("mcs-token", func(s *corev1.Secret) { metav1.SetMetaDataLabel(&s.ObjectMeta, "theirs", "x") })
			},
			until: func(w *world, _, now *v1alpha1.TokenCredential) bool {
				secret := &corev1.Secret{}
				must(w.t, w.Get(w.t.Context(), w.key("mcs-token"), secret))
				return secret.Labels["theirs"] == "x" && now.Status.Target.ResourceVersion == secret.ResourceVersion
			},
		},
	}
}

func metadataEdits() []userEdit {
	return []userEdit{
		{
			name: "refreshAt", provider: "xiaomi", reason: "it asks for one refresh",
			do:    func(w *world) { w.askForRefresh("xiaomi", "now, please") },
			until: handled("now, please"), calls: 1,
		},
		{
			name: "refreshAt of a Reusable provider", provider: "mcs", reason: "it asks for one refresh",
			do:    func(w *world) { w.askForRefresh("mcs", "now, please") },
			until: handled("now, please"), calls: 1,
		},
		{
			name: "the same refreshAt again", provider: "xiaomi", reason: "a value asks for one refresh, however often it is set",
			do: func(w *world) {
				w.askForRefresh("xiaomi", "once")
				w.await("xiaomi", "handled", func(c *v1alpha1.TokenCredential) bool { return c.Status.LastHandledRefreshAt == "once" })
				w.edit("xiaomi", func(c *v1alpha1.TokenCredential) { delete(c.Annotations, v1alpha1.RefreshAtAnnotation) })
				w.awaitLook("xiaomi")
				w.askForRefresh("xiaomi", "once")
			},
			until: handled("once"), calls: 1,
		},
		{
			name: "labels and annotations of the credential", provider: "mcs", reason: "they say nothing about the token",
			do: func(w *world) {
				w.edit("mcs", func(c *v1alpha1.TokenCredential) {
					c.Labels = map[string]string{"team": "shop"}
					c.Annotations = map[string]string{"note": "x"}
				})
			},
		},
	}
}

func handled(value string) func(*world, *v1alpha1.TokenCredential, *v1alpha1.TokenCredential) bool {
	return func(_ *world, _, now *v1alpha1.TokenCredential) bool { return now.Status.LastHandledRefreshAt == value }
}
