// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestWhatPeopleDoToAGrant(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "a wrong seed", shows: []string{"a wrong seed typed over a good grant"},
			promise: "once the good one is put back, the grant lives on",
			play:    (*world).mistypeASeed,
		},
		{
			name: "labelled during the exchange", shows: []string{"a credential labelled while its reply is under way"},
			promise: "the outcome is applied to the changed credential: one call, one event",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.exchangeWith(reply(200, nil, `&&&START&&&{"error":96009}`), func() {
					w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { c.Labels = map[string]string{"team": "shop"} })
				})
				w.stalls(v1alpha1.ReauthorizationRequiredReason, "authorize again")
				w.awaitLook(xiaomi)
				if told, calls := w.events(xiaomi, v1alpha1.ReauthorizationRequiredReason), w.calls(); told != 1 || calls != 2 {
					w.t.Errorf("there are %d events and %d calls, want 1 and 2", told, calls)
				}
				w.curedByAnotherSeed(0)
			},
		},
		{
			name: "the target deleted while suspended", shows: []string{"a target deleted while the credential is suspended"},
			promise: "Ready is not True; resumed, the target is written again without a call",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })
				w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.TokenValidReason)
				w.deleteSecret(xiaomi + "-token")
				_, ready := w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.SuspendedReason)
				if !strings.Contains(ready.Message, "does not hold the token that was obtained") || strings.Contains(ready.Message, "no token has been obtained") {
					w.t.Errorf("the message does not say what is missing: %s", ready.Message)
				}
				w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = false })
				w.keptAndFresh()
				if calls := w.calls(); calls != 1 {
					w.t.Errorf("the provider got %d calls, want 1", calls)
				}
			},
		},
		{
			name: "renamed", shows: []string{"a credential renamed, with the same seed"},
			promise: "the spent seed is not sent; the step in the message works",
			play: func(w *world) {
				w.moved(w.namespace, `the TokenCredential "xiaomi", which is gone`, `the state Secret "xiaomi-token-state"`)
			},
		},
		{
			name: "moved", shows: []string{"a credential moved to another namespace, with the same seed"},
			promise: "the spent seed is not sent; the step in the message works",
			play: func(w *world) {
				other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-other-"}}
				must(w.t, w.Create(w.t.Context(), other))
				w.namespaces = []string{w.namespace, other.Name}
				w.moved(other.Name, "a TokenCredential in another namespace, which is gone", "its state Secret")
			},
		},
		{
			name: "a wrong name", shows: []string{"a credential made with a wrong name and made again, before anything was sent"},
			promise: "nothing was spent, so the second one works",
			play: func(w *world) {
				w.start()
				// Nothing is spent, a state is there, and there is time to delete it before the next try.
				w.simulator.QueueFault(xiaomiCalls, 1, reply(429, http.Header{"Retry-After": {"120"}}, ""))
				builtInNamed(w.t, xiaomi).create(w)
				w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.RateLimitedReason)
				spec := w.look(xiaomi).Spec
				must(w.t, w.Delete(w.t.Context(), w.look(xiaomi)))
				w.credential("shop", spec)
				w.awaitRefreshes("shop", 1)
				w.awaitFresh("shop")
				if w.state("shop", "refresh_token") != w.grant().Current || w.simulator.Totals().Reuses != 0 {
					w.t.Error("the grant did not live on")
				}
			},
		},
	})
}

// mistypeASeed types a wrong seed over a good grant, and puts the good one back.
func (w *world) mistypeASeed() {
	w.t.Helper()
	w.start()
	w.fresh()
	w.secret(xiaomi+"-seed", map[string]string{"refresh_token": "mistyped"})
	w.stalls(v1alpha1.ReauthorizationRequiredReason)
	w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
	w.await(xiaomi, "not stalled any more", func(*v1alpha1.TokenCredential) bool { return !w.isStalled() })
	w.awaitFresh(xiaomi)
	w.askForRefresh(xiaomi, "it lives on")
	w.await(xiaomi, "refreshed", func(c *v1alpha1.TokenCredential) bool { return c.Status.LastHandledRefreshAt == "it lives on" })
	w.awaitFresh(xiaomi)
	if held := w.state(xiaomi, "refresh_token"); held != w.grant().Current {
		w.t.Error("the state does not hold the provider's current refresh token")
	}
	if totals := w.simulator.Totals(); totals.Reuses != 0 || totals.UnknownTokens != 1 {
		w.t.Errorf("%d spent and %d unknown tokens were sent, want 0 and the mistyped one", totals.Reuses, totals.UnknownTokens)
	}
	if told := w.events(xiaomi, v1alpha1.SpentSeedIgnoredEvent); told != 0 {
		w.t.Errorf("there are %d events SpentSeedIgnored, want none", told)
	}
}

// moved has a credential come back under another name or namespace with its first
// seed, which is spent, and takes the step that the message names.
func (w *world) moved(namespace string, says ...string) {
	w.t.Helper()
	w.start()
	w.fresh()
	spec := w.look(xiaomi).Spec
	spec.Target.Name = "moved-token"
	must(w.t, w.Delete(w.t.Context(), w.look(xiaomi)))
	for _, name := range []string{xiaomi + "-app", xiaomi + "-seed"} {
		if namespace != w.namespace {
			must(w.t, w.Create(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: w.read(name)}))
		}
	}
	moved := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "moved"}, Spec: spec}
	must(w.t, w.Create(w.t.Context(), moved))
	look := func() *v1alpha1.TokenCredential {
		must(w.t, w.Get(w.t.Context(), client.ObjectKeyFromObject(moved), moved))
		return moved
	}
	if !w.eventually(func() bool { return isDuplicate(look()) }) {
		w.t.Fatalf("it never stalled:\n%s", describe(moved))
	}
	told := describe(moved)
	for _, part := range append(says, "put the refresh_token from there into the Secret of spec.refreshTokenSecretRef") {
		if !strings.Contains(told, part) {
			w.t.Errorf("the message does not say %q:\n%s", part, told)
		}
	}
	if namespace != w.namespace && strings.Contains(told, w.namespace) {
		w.t.Errorf("the message names another namespace:\n%s", told)
	}
	if calls := w.calls(); calls != 1 {
		w.t.Errorf("the provider got %d calls, want 1", calls)
	}
	seed := &corev1.Secret{}
	must(w.t, w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: xiaomi + "-seed"}, seed))
	seed.Data["refresh_token"] = []byte(w.state(xiaomi, "refresh_token"))
	must(w.t, w.Update(w.t.Context(), seed))
	if !w.eventually(func() bool { return look().Status.RefreshCount == 1 && !isDuplicate(moved) }) {
		w.t.Fatalf("the step does not work:\n%s", describe(moved))
	}
	state := &corev1.Secret{}
	must(w.t, w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: "moved" + v1alpha1.StateSecretSuffix}, state))
	if string(state.Data["refresh_token"]) != w.grant().Current || w.simulator.Totals().Reuses != 0 {
		w.t.Error("the grant did not live on")
	}
}
