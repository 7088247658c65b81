// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// stall is a state that a person must end, and the documented step that does.
type stall struct {
	// name says how it comes about, shows which row of the documentation it is.
	name, shows string

	reason string
	who    string // credential that stalls; default: xiaomi
	// says is what the condition and the event say to do.
	says []string
	// event that tells of it; default: RefreshFailed.
	event string
	// attempted: the provider was asked, so the metric of refreshes counts it.
	attempted bool

	bring, step func(*world)
	// reuses of a spent token that the provider has seen at the end.
	reuses int
}

func TestEachStallIsToldAndEndsByItsDocumentedStep(t *testing.T) {
	t.Parallel()
	for _, each := range append(append(providerStalls(), rotationStalls()...), inputStalls()...) {
		t.Run(each.shows, func(t *testing.T) {
			t.Parallel()
			faults.Shows(t, each.shows)
			w := newWorld(t, simulator.Hour)
			w.verbosity = 1
			each.who = cmp.Or(each.who, xiaomi)
			each.bring(w)
			each.checkTold(w)
			each.step(w)
			if each.who == xiaomi || w.look(each.who).Name != "" {
				w.awaitFresh(each.who)
				if token := string(w.read(each.who + "-token")["access_token"]); !w.simulator.AccessTokenValid(token) {
					t.Error("the target holds no valid token after the step")
				}
				grant, _ := w.simulator.GrantOf(w.state(each.who, "refresh_token"))
				if held := w.state(each.who, "refresh_token"); held != grant.Current {
					t.Error("the state does not hold the provider's current refresh token after the step")
				}
			}
			if totals := w.simulator.Totals(); totals.Reuses != each.reuses || totals.UnknownTokens != 0 {
				t.Errorf("%d spent and %d unknown tokens were sent, want %d and 0", totals.Reuses, totals.UnknownTokens, each.reuses)
			}
			if open := w.gauge("tokenkeeper_open_attempts"); open != 0 {
				t.Errorf("%v attempts are open after the step", open)
			}
		})
	}
}

// checkTold checks that the condition, the event and the metric tell of a stall,
// and that it calls nobody.
func (s stall) checkTold(w *world) {
	w.t.Helper()
	_, stalled := w.awaitCondition(s.who, v1alpha1.StalledCondition, metav1.ConditionTrue, s.reason)
	for _, part := range s.says {
		if !strings.Contains(stalled.Message, part) {
			w.t.Errorf("the message does not say %q: %s", part, stalled.Message)
		}
	}
	event := cmp.Or(s.event, v1alpha1.RefreshFailedEvent)
	var note string
	if !w.eventually(func() bool {
		for _, told := range w.eventList() {
			if told.Regarding.Name == s.who && told.Reason == event && (event != v1alpha1.RefreshFailedEvent || strings.Contains(told.Note, s.says[0])) {
				note = told.Note
			}
		}
		return note != ""
	}) {
		w.t.Fatalf("no event %s tells of %s", event, s.reason)
	}
	for _, part := range s.says {
		if !strings.Contains(note, part) {
			w.t.Errorf("the event does not say %q: %s", part, note)
		}
	}
	counted := fmt.Sprintf(`tokenkeeper_refresh_total{provider="xiaomi",result=%q}`, s.reason)
	if got := strings.Contains(w.metricsText(), counted); got != s.attempted {
		w.t.Errorf("the metric %s is there: %t, want %t", counted, got, s.attempted)
	}
	calls := w.calls()
	w.awaitLook(s.who)
	w.awaitCondition(s.who, v1alpha1.StalledCondition, metav1.ConditionTrue, s.reason)
	if got := w.calls() - calls; got != 0 {
		w.t.Errorf("a stalled credential made %d calls, want none", got)
	}
}

const authorizeAgain = "authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef"

// fails has the next refresh answered with an error of Xiaomi.
func fails(code int) func(*world) {
	return func(w *world) {
		w.start()
		w.fresh()
		w.simulator.QueueFault(xiaomiCalls, 1, reply(200, nil, fmt.Sprintf(`&&&START&&&{"error":%d,"error_description":"no"}`, code)))
		w.askForRefresh(xiaomi, "fails") // an edit of the spec would count as a cure
	}
}

// seeded is the step that a person takes who has authorized again.
func seeded(w *world) {
	before := w.look(xiaomi).Status.RefreshCount
	w.authorizeAgain()
	w.awaitRefreshes(xiaomi, before+1)
}

// providerStalls come of what the provider says.
func providerStalls() []stall {
	return []stall{
		{
			name: "the provider refuses the refresh token", shows: "ReauthorizationRequired",
			reason: v1alpha1.ReauthorizationRequiredReason, event: v1alpha1.ReauthorizationRequiredReason, attempted: true,
			says: []string{authorizeAgain}, bring: fails(96009), step: seeded,
		},
		{
			name: "the provider refuses the app", shows: "AppRejected",
			reason: v1alpha1.AppRejectedReason, attempted: true,
			says: []string{"correct the app's key and secret in the Secret of spec.appSecretRef"}, bring: fails(96003),
			step: func(w *world) {
				w.correctApp()
				w.awaitRefreshes(xiaomi, 2)
			},
		},
	}
}

// rotationStalls are about a refresh token that works once.
func rotationStalls() []stall {
	lost := func(w *world) { w.loseReply(simulator.Fault{AfterActing: true, Reset: true}) }
	return []stall{
		{
			name: "the reply was lost", shows: "OutcomeUnknown, and you can authorize again",
			reason: v1alpha1.OutcomeUnknownReason, event: v1alpha1.OutcomeUnknownReason, attempted: true,
			says: []string{authorizeAgain, "RetryOnce"}, bring: lost, step: seeded,
		},
		{
			name: "the request was lost", shows: "OutcomeUnknown, and the provider merely refuses a spent token",
			reason: v1alpha1.OutcomeUnknownReason, event: v1alpha1.OutcomeUnknownReason, attempted: true,
			says:  []string{authorizeAgain, "set spec.onUnknownOutcome to RetryOnce"},
			bring: func(w *world) { w.loseReply(simulator.Fault{Reset: true}) },
			step: func(w *world) {
				w.retryOnce()
				w.awaitRefreshes(xiaomi, 2)
			},
		},
		{
			name: "the one retry finds the token spent", shows: "RotatedTokenLost",
			reason: v1alpha1.RotatedTokenLostReason, attempted: true, reuses: 1,
			says: []string{authorizeAgain},
			bring: func(w *world) {
				lost(w)
				w.stallsUnknown()
				w.retryOnce()
			},
			step: seeded,
		},
		{
			name: "a second credential on one refresh token", shows: "DuplicateSource, and one credential is enough",
			reason: v1alpha1.DuplicateSourceReason, who: "younger",
			says: []string{"delete this one"}, bring: twins,
			step: func(w *world) {
				must(w.t, w.Delete(w.t.Context(), w.look("younger")))
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name: "a second credential on one refresh token", shows: "DuplicateSource, and two are needed",
			reason: v1alpha1.DuplicateSourceReason, who: "younger",
			says:  []string{"authorize once more and put a refresh token of its own into the Secret of spec.refreshTokenSecretRef"},
			bring: twins,
			step: func(w *world) {
				_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
					{ID: "other", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: otherSeed},
				}})
				must(w.t, err)
				w.secret("younger-seed", map[string]string{"refresh_token": otherSeed})
				w.edit("younger", func(c *v1alpha1.TokenCredential) { c.Spec.RefreshTokenSecretRef.Name = "younger-seed" })
				w.awaitRefreshes("younger", 1)
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name: "a backup is restored", shows: "RestoredFromBackup",
			reason: v1alpha1.RestoredFromBackupReason,
			says:   []string{authorizeAgain}, bring: restored, step: seeded,
		},
		{
			name: "a state is carried over from another cluster", shows: "RestoredFromBackup, and the copy was not used since",
			reason: v1alpha1.RestoredFromBackupReason,
			says:   []string{"if you know that it was not used since, put the copy's own refresh_token there"}, bring: (*world).carryOver,
			step: func(w *world) {
				before := w.look(xiaomi).Status.RefreshCount
				w.secret(xiaomi+"-seed", map[string]string{"refresh_token": w.state(xiaomi, "refresh_token")})
				w.awaitRefreshes(xiaomi, before+1)
			},
		},
	}
}

// twins has a second credential work on the refresh token of the first.
func twins(w *world) {
	w.start()
	w.fresh()
	spec := w.look(xiaomi).Spec
	spec.Target.Name = "younger-token"
	w.credential("younger", spec)
}

// inputStalls come of what people wrote.
func inputStalls() []stall {
	return []stall{
		{
			name: "a Secret of someone else has the target's name", shows: "TargetConflict",
			reason: v1alpha1.TargetConflictReason, says: []string{`"xiaomi-token"`, "delete it", "spec.target.name", "Merge"},
			bring: func(w *world) {
				w.secret(xiaomi+"-token", map[string]string{"theirs": "x"})
				builtInNamed(w.t, xiaomi).create(w)
				w.start()
			},
			step: func(w *world) { w.deleteSecret(xiaomi + "-token") },
		},
		{
			name: "a parameter is missing", shows: "InvalidParameters",
			reason: v1alpha1.InvalidParametersReason, says: []string{"redirectURI", "https://shop.example/callback"},
			bring: func(w *world) {
				builtInNamed(w.t, xiaomi).create(w, func(spec *v1alpha1.TokenCredentialSpec) { spec.Parameters = nil })
				w.start()
			},
			step: func(w *world) {
				w.edit(xiaomi, func(c *v1alpha1.TokenCredential) {
					c.Spec.Parameters = map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI}
				})
			},
		},
		{
			name: "the ClusterTokenProvider does not compile", shows: "ProviderInvalid",
			reason: v1alpha1.ProviderInvalidReason, says: []string{"does not compile", "its own status says where"},
			bring: func(w *world) {
				w.describeProvider(func(spec *v1alpha1.ClusterTokenProviderSpec) {
					spec.Refresh.Request.Query["client_id"] = "${app.kee}"
				})
				builtInNamed(w.t, xiaomi).create(w, ofCluster(w))
				w.start()
			},
			step: func(w *world) { w.describeProvider(nil) },
		},
	}
}
