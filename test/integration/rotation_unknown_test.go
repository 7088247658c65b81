// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// lostReply is a reply that does not arrive although the provider has acted.
type lostReply struct {
	name  string
	shows string // row of the list of faults
	fault simulator.Fault
}

func lostReplies() []lostReply {
	return []lostReply{
		{name: "503 after the provider has acted", shows: "503 after the provider has acted", fault: simulator.Fault{AfterActing: true, Reply: &simulator.Reply{Status: http.StatusServiceUnavailable, Body: "<html>"}}},
		{name: "a reset after sending", shows: "a reset after sending", fault: simulator.Fault{AfterActing: true, Reset: true}},
		{name: "a truncated body", shows: "a truncated body", fault: simulator.Fault{Truncate: true}},
		{name: "HTML with 200", shows: "HTML with 200", fault: simulator.Fault{AfterActing: true, Reply: &simulator.Reply{Body: "<html>welcome</html>"}}},
	}
}

func TestAnUnknownOutcomeIsHeldUntilAPersonSays(t *testing.T) {
	t.Parallel()
	var cases []fault
	for _, lost := range lostReplies() {
		cases = append(cases, fault{
			name:    lost.name + ", with Hold",
			promise: "the token is sent no more, whatever is edited or asked, until there is another seed; and it is told",
			play: func(w *world) {
				faults.Shows(w.t, lost.shows)
				w.loseReply(lost.fault)
				w.stallsUnknown()
				w.nothingIsSent()
				w.curedByAnotherSeed(0)
				if open := w.gauge("tokenkeeper_open_attempts"); open != 0 {
					w.t.Errorf("%v attempts are open after the cure", open)
				}
			},
		}, fault{
			name:    lost.name + ", with RetryOnce allowed afterwards",
			promise: "the token is sent once more, and once only; refused, its successor counts as lost",
			play: func(w *world) {
				w.loseReply(lost.fault)
				w.stallsUnknown()
				calls := w.calls()
				w.retryOnce()
				w.stalls(v1alpha1.RotatedTokenLostReason, "authorize again", "spec.refreshTokenSecretRef")
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("the token was sent %d times more, want 1", got)
				}
				w.kept(simulator.DemoXiaomiGrant, 1)
				w.nothingIsSent()
				w.curedByAnotherSeed(1)
			},
		})
	}
	survive(t, append(cases, unspentFaults()...))
}

// unspentFaults look like the others to the operator, but the token is unspent.
func unspentFaults() []fault {
	return []fault{
		{
			name:    "503 before the provider has acted, with RetryOnce allowed afterwards",
			promise: "the one retry finds the token unspent",
			play: func(w *world) {
				w.loseReply(simulator.Fault{Reply: &simulator.Reply{Status: http.StatusServiceUnavailable}})
				w.stallsUnknown()
				w.retryOnce()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name:    "a reset after sending, twice, with RetryOnce",
			promise: "there is never more than one resend; then a person must act",
			play: func(w *world) {
				w.start()
				w.fresh(func(spec *v1alpha1.TokenCredentialSpec) { spec.OnUnknownOutcome = v1alpha1.RetryOnce })
				calls := w.calls()
				w.simulator.QueueFault(xiaomiCalls, 2, simulator.Fault{Reset: true})
				w.fallDue()
				w.stalls(v1alpha1.OutcomeUnknownReason, "authorize again", "spec.refreshTokenSecretRef")
				if got := w.calls() - calls; got != 2 {
					w.t.Errorf("the token was sent %d times, want 2", got)
				}
				w.nothingIsSent()
				w.curedByAnotherSeed(0)
			},
		},
	}
}

func TestARetryThatCannotConnectLeavesTheDoubt(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "and the token is unspent", promise: "the doubt stays in the state; once the provider is there the one retry is made, and all is well",
			shows: []string{"a retry that cannot connect"},
			play: func(w *world) {
				back := w.retryWithoutProvider(simulator.Fault{Reset: true})
				back()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				w.spentOnce(2)
			},
		},
		{
			name: "and the token is spent", promise: "the doubt stays in the state; the one retry that is made at last shows the loss",
			shows: []string{"a retry that cannot connect"},
			play: func(w *world) {
				back := w.retryWithoutProvider(simulator.Fault{AfterActing: true, Reset: true})
				back()
				w.stalls(v1alpha1.RotatedTokenLostReason, "authorize again")
				w.kept(simulator.DemoXiaomiGrant, 1)
				w.nothingIsSent()
				w.curedByAnotherSeed(1)
			},
		},
	})
}

// retryWithoutProvider loses a reply and allows one retry while the provider is
// away; what it returns brings the provider back.
func (w *world) retryWithoutProvider(lost simulator.Fault) (back func()) {
	w.t.Helper()
	w.loseReply(lost)
	w.stallsUnknown()
	address, calls := w.server.Addr(), w.calls()
	must(w.t, w.server.Close())
	w.retryOnce()
	w.await(xiaomi, "two failures to connect", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts >= 2 })
	if w.state(xiaomi, "attempt") == "" || w.gauge("tokenkeeper_open_attempts") != 1 {
		w.t.Error("the doubt about the token was forgotten")
	}
	w.kept(simulator.DemoXiaomiGrant, 0)
	if w.calls() != calls {
		w.t.Errorf("the provider got %d calls while it was away", w.calls()-calls)
	}
	return func() {
		server, err := w.simulator.Start(address)
		must(w.t, err)
		w.t.Cleanup(func() { _ = server.Close() })
	}
}

// loseReply lets the reply to the second refresh get lost.
func (w *world) loseReply(lost simulator.Fault) {
	w.t.Helper()
	w.start()
	w.fresh()
	w.simulator.QueueFault(xiaomiCalls, 1, lost)
	w.fallDue()
}

// stallsUnknown waits for the stall, and checks that it is told everywhere.
func (w *world) stallsUnknown() {
	w.t.Helper()
	w.stalls(v1alpha1.OutcomeUnknownReason, "authorize again", "spec.refreshTokenSecretRef", "spec.onUnknownOutcome", "RetryOnce")
	w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.OutcomeUnknownReason)
	w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.TokenValidReason)
	w.awaitEvents(xiaomi, v1alpha1.OutcomeUnknownReason, 1)
	if open := w.gauge("tokenkeeper_open_attempts"); open != 1 {
		w.t.Errorf("%v attempts are told as open, want 1", open)
	}
	w.kept(simulator.DemoXiaomiGrant, 0)
}

// retryOnce sets the policy that allows one resend.
func (w *world) retryOnce() {
	w.t.Helper()
	w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { c.Spec.OnUnknownOutcome = v1alpha1.RetryOnce })
}

// nothingIsSent does to a stalled credential what people do, and checks that no
// call comes of it.
func (w *world) nothingIsSent() {
	w.t.Helper()
	calls, stalled := w.calls(), w.isStalled()
	w.askForRefresh(xiaomi, "please")
	w.awaitLook(xiaomi)
	w.secret(xiaomi+"-app", map[string]string{
		"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret, "note": "edited"})
	w.awaitLook(xiaomi)
	w.deleteSecret(xiaomi + "-token")
	w.clock.shift(2 * time.Hour)
	w.awaitLook(xiaomi)
	w.askForRefresh(xiaomi, "please, please")
	w.awaitLook(xiaomi)
	if got := w.calls() - calls; got != 0 {
		w.t.Errorf("a stalled credential made %d calls, want none", got)
	}
	if !stalled || !w.isStalled() {
		w.t.Errorf("the credential is not stalled any more:\n%s", describe(w.look(xiaomi)))
	}
}

func TestAReuseWindowMakesUpForALostReply(t *testing.T) {
	t.Parallel()
	var cases []fault
	for _, lost := range lostReplies() {
		cases = append(cases, fault{
			name:    lost.name + ", with a reuse window",
			promise: "the same token is sent once more inside the window, and all is well",
			play: func(w *world) {
				w.describeWithWindow()
				w.start()
				w.fresh(ofCluster(w))
				calls := w.calls()
				w.simulator.QueueFault(xiaomiCalls, 1, lost.fault)
				w.fallDue()
				w.await(xiaomi, "a resend", func(*v1alpha1.TokenCredential) bool { return w.calls() == calls+2 })
				w.await(xiaomi, "the token of the resend", func(*v1alpha1.TokenCredential) bool {
					return w.state(xiaomi, "refresh_token") == w.grant().Current
				})
				w.keptAndFresh()
				if got := w.calls() - calls; got != 2 {
					w.t.Errorf("the token was sent %d times, want 2", got)
				}
			},
		})
	}
	survive(t, cases)
}

// window in which the spent token is still honoured.
const window = 10 * time.Minute

// describeWithWindow describes Xiaomi as if it had a reuse window, and gives the
// simulator the same.
func (w *world) describeWithWindow() {
	w.t.Helper()
	specs, err := builtin.Specs()
	must(w.t, err)
	spec := specs[xiaomi]
	spec.Rotation.ReuseWindow = &v1alpha1.Duration{Duration: metav1.Duration{Duration: window}}
	w.provide(spec)
	w.simulator.Configure(func(o *simulator.Options) {
		o.Xiaomi.Rotation = simulator.Rotation{ReuseWindow: simulator.Duration(window), RevokeOnReuse: true}
	})
}

func ofCluster(w *world) func(*v1alpha1.TokenCredentialSpec) {
	return func(spec *v1alpha1.TokenCredentialSpec) {
		spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: w.cluster()}
	}
}

func TestAnAttemptWhoseHolderIsGone(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "killed after sending, without a reuse window",
			shows:   []string{"killed after sending, without a reuse window"},
			promise: "its holder may live for 45 s; then the outcome is unknown, and a person must act",
			play: func(w *world) {
				w.leaveAttempt(w.clock.Now())
				w.waitsForHolder()
				w.clock.shift(someTime)
				w.stallsUnknown()
				w.nothingIsSent()
				w.curedByAnotherSeed(0)
			},
		},
		{
			name:    "killed after the claim, with RetryOnce",
			shows:   []string{"killed after the claim"},
			promise: "its holder may live for 45 s; then the token is sent, once",
			play: func(w *world) {
				w.leaveAttempt(w.clock.Now())
				w.retryOnce()
				w.waitsForHolder()
				calls := w.calls()
				w.clock.shift(someTime)
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				if got := w.calls() - calls; got != 1 {
					w.t.Errorf("the provider got %d calls, want 1", got)
				}
			},
		},
		{
			name:    "killed after sending, with a reuse window",
			shows:   []string{"killed after sending, with a reuse window"},
			promise: "its holder may live for 45 s; then the token is sent again inside the window",
			play: func(w *world) {
				w.describeWithWindow()
				w.leaveAttempt(w.clock.Now(), ofCluster(w))
				w.waitsForHolder()
				w.clock.shift(someTime)
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name:    "killed after sending, with a reuse window that has closed",
			shows:   []string{"killed after sending, with a reuse window"},
			promise: "the token is not sent outside the window",
			play: func(w *world) {
				w.describeWithWindow()
				w.leaveAttempt(w.clock.Now(), ofCluster(w))
				w.clock.shift(window)
				w.waitsForHolder()
				w.clock.shift(someTime)
				w.stallsUnknown()
				w.nothingIsSent()
				w.curedByAnotherSeed(0)
			},
		},
	})
}

// leaveAttempt leaves a claim in the state as a process does that was killed, and
// starts another.
func (w *world) leaveAttempt(started time.Time, change ...func(*v1alpha1.TokenCredentialSpec)) {
	w.t.Helper()
	operator := w.start()
	w.fresh(change...)
	operator.shutDown()
	encoded, err := json.Marshal(rotation.Attempt{ID: "left", Holder: "gone", Started: started.UTC(),
		Token: secret.New(w.state(xiaomi, "refresh_token")).Digest()})
	must(w.t, err)
	w.changeSecret(xiaomiState, func(s *corev1.Secret) {
		s.Data["attempt"] = encoded
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AttemptAnnotation, started.UTC().Format(time.RFC3339))
	})
	w.start()
}

// someTime is more than a test takes from one step to the next.
const someTime = 20 * time.Second

// waitsForHolder waits until the operator has seen the attempt, and checks that
// it does nothing about it until someTime before the holder counts as gone.
func (w *world) waitsForHolder() {
	w.t.Helper()
	calls := w.calls()
	awaitLook := func() {
		looks := func() int { return strings.Count(w.journal.String(), "another process holds the claim") }
		before := looks()
		if !w.eventually(func() bool { return looks() > before }) {
			w.t.Fatal("the attempt was not looked at")
		}
	}
	awaitLook()
	w.clock.shift(recovery.HolderTimeout - someTime)
	awaitLook()
	awaitLook()
	if w.calls() != calls || w.isStalled() || w.state(xiaomi, "attempt") == "" {
		w.t.Errorf("the holder was not waited for: %d calls\n%s", w.calls()-calls, describe(w.look(xiaomi)))
	}
}
