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

func TestWhatCannotBeReadIsToldWhenTheTokenExpires(t *testing.T) {
	t.Parallel()
	const promise = "Ready turns False at the expiry, and says what cannot be read; all is well once it can be"
	expires := func(code int, secret, says string) func(*world) {
		return func(w *world) { w.expiresWhileRefused(code, secret, says) }
	}
	survive(t, []fault{
		{
			name: "403 on the state", promise: promise, shows: []string{"403 or 500 on reading the state while the token expires"},
			play: expires(http.StatusForbidden, xiaomiState, "(Forbidden)"),
		},
		{
			name: "500 on the state", promise: promise, shows: []string{"403 or 500 on reading the state while the token expires"},
			play: expires(http.StatusInternalServerError, xiaomiState, "(InternalError)"),
		},
		{
			name: "403 on the seed", promise: promise, shows: []string{"403 or 500 on reading an input while the token expires"},
			play: expires(http.StatusForbidden, xiaomi+"-seed", "(Forbidden)"),
		},
		{
			name: "500 on the app", promise: promise, shows: []string{"403 or 500 on reading an input while the token expires"},
			play: expires(http.StatusInternalServerError, xiaomi+"-app", "(InternalError)"),
		},
		{
			name: "no answer", promise: promise, shows: []string{"an API server that cannot be reached"},
			play: expires(0, xiaomiState, "cannot be reached"),
		},
	})
}

// expiresWhileRefused lets the token expire while a Secret cannot be read.
func (w *world) expiresWhileRefused(code int, secret, says string) {
	w.t.Helper()
	gate := &apiRefusals{}
	w.wire = gate.wrap
	w.start()
	w.fresh()
	gate.refuse(code, reads(secret))
	w.changeSecret(secret, annotated) // what was read before is not good any more
	w.fallDue()
	c, _ := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ReadyCondition) {
		w.t.Errorf("Ready is False although the token has not expired:\n%s", describe(c))
	}
	w.clock.shift(10 * time.Minute)
	w.wake()
	_, ready := w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
	for _, part := range []string{"the token expired at", says, "Secret", "it is tried again"} {
		if !strings.Contains(ready.Message, part) {
			w.t.Errorf("the message does not say %q: %s", part, ready.Message)
		}
	}
	if calls := w.calls(); calls != 1 {
		w.t.Errorf("the provider got %d calls, want 1", calls)
	}
	gate.lift()
	w.wake() // the backoff has grown meanwhile
	w.awaitRefreshes(xiaomi, 2)
	w.keptAndFresh()
	if told := w.events(xiaomi, v1alpha1.RefreshFailedEvent); told != 1 {
		w.t.Errorf("there are %d events RefreshFailed, want 1", told)
	}
}

// A target that cannot be written, and a provider that says no: neither hides the
// other.
func TestATargetThatCannotBeWrittenHidesNoOutcome(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "the refresh token is refused",
			shows:   []string{"a target that cannot be written while the provider refuses the refresh token"},
			promise: "both are told, and the rejected token is not sent again",
			play: func(w *world) {
				w.failsBesideTarget(reply(200, nil, `&&&START&&&{"error":96009}`), v1alpha1.ReauthorizationRequiredReason, "authorize again")
			},
		},
		{
			name:    "the answer is lost",
			shows:   []string{"a target that cannot be written while the outcome is unknown"},
			promise: "both are told, and the token is not sent again",
			play: func(w *world) {
				w.failsBesideTarget(simulator.Fault{AfterActing: true, Reset: true}, v1alpha1.OutcomeUnknownReason, "may be spent")
			},
		},
	})
}

// failsBesideTarget has a renewal fail in the visit in which the target cannot be
// written, and a person cure both.
func (w *world) failsBesideTarget(failing simulator.Fault, reason, says string) {
	w.t.Helper()
	gate := &apiRefusals{}
	w.wire = gate.wrap
	operator := w.start()
	w.fresh()
	operator.shutDown()
	w.start()
	gate.refuse(http.StatusForbidden, func(r *http.Request) bool { // the write, not its dry run
		return writesTo(xiaomi+"-token")(r) && r.URL.Query().Get("dryRun") == ""
	})
	w.simulator.QueueFault(xiaomiCalls, 1, failing)
	w.changeSecret(xiaomi+"-token", drifted)
	w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
	w.fallDue()
	w.stalls(reason, says)
	w.await(xiaomi, "both are told", func(c *v1alpha1.TokenCredential) bool {
		told := describe(c)
		return strings.Contains(told, says) && strings.Contains(told, `write the target Secret "xiaomi-token" (Forbidden)`)
	})
	w.clock.shift(10 * time.Minute) // past every backoff, and the token's expiry
	w.wake()
	w.awaitLook(xiaomi)
	if calls := w.calls(); calls != 2 {
		w.t.Errorf("the provider got %d calls, want 2: the rejected token was sent again", calls)
	}
	if told := w.events(xiaomi, reason); told != 1 {
		w.t.Errorf("there are %d events %s, want 1", told, reason)
	}
	gate.lift()
	w.curedByAnotherSeed(0)
}

func TestARestartShowsWhatIsOpen(t *testing.T) {
	t.Parallel()
	survive(t, []fault{{
		name:    "a restart while the outcome is unknown",
		shows:   []string{"a restart while the outcome is unknown"},
		promise: "the metrics of open attempts still show it, as soon as the caches are there",
		play: func(w *world) {
			operator := w.start()
			w.fresh()
			w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Reset: true})
			w.fallDue()
			w.stalls(v1alpha1.OutcomeUnknownReason)
			operator.shutDown()
			w.clock.shift(time.Minute)
			w.start()
			if !w.eventually(func() bool { return strings.Contains(w.metricsText(), "tokenkeeper_open_attempts 1") }) {
				w.t.Fatal("no attempt is told to be open")
			}
			if age := w.gauge("tokenkeeper_oldest_open_attempt_seconds"); age < 60 {
				w.t.Errorf("the oldest open attempt is %v s old, want a minute", age)
			}
			w.curedByAnotherSeed(0)
			if open := w.gauge("tokenkeeper_open_attempts"); open != 0 {
				w.t.Errorf("%v attempts are open after the cure", open)
			}
		},
	}})
}
