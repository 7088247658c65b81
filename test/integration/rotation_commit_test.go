// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestARotatedTokenIsCommitted(t *testing.T) {
	t.Parallel()
	survive(t, append(refusedCommits(), []fault{
		{
			name:    "unrelated conflicts on the commit: merged, foreign keys kept",
			shows:   []string{"unrelated conflicts on the commit"},
			promise: "the commit goes on from what others have written",
			play: func(w *world) {
				w.start()
				w.fresh()
				var conflicts atomic.Int32
				w.stateWrites.intercept(func(write stateWrite) error {
					if !write.claims() && conflicts.Add(1) <= 3 {
						w.changeSecret(xiaomiState, func(s *corev1.Secret) {
							s.Data["theirs"] = []byte{byte('0' + conflicts.Load())}
							metav1.SetMetaDataLabel(&s.ObjectMeta, "theirs", "x")
							metav1.SetMetaDataAnnotation(&s.ObjectMeta, "theirs", "x")
						})
					}
					return write.through()
				})
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				stored := &corev1.Secret{}
				must(w.t, w.Get(w.t.Context(), w.key(xiaomiState), stored))
				if string(stored.Data["theirs"]) != "3" || stored.Labels["theirs"] != "x" || stored.Annotations["theirs"] != "x" {
					w.t.Errorf("what others wrote into the state Secret is lost: %q, %v", stored.Data["theirs"], stored.Labels)
				}
				if w.grant().Refreshes != 2 {
					w.t.Errorf("%d refresh tokens were spent, want 2", w.grant().Refreshes)
				}
			},
		},
		{
			name:    "the state Secret deleted during the exchange",
			promise: "the commit makes it again",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.duringExchange(func() { w.deleteSecret(xiaomiState) })
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name:    "the credential deleted during the exchange; the state Secret retained and adopted again",
			shows:   []string{"the credential deleted during the exchange", "the state Secret retained and adopted again"},
			promise: "the successor is saved, no target is left, and the same credential goes on from it without a call",
			play: func(w *world) {
				w.start()
				w.fresh()
				before := w.state(xiaomi, "refresh_token")
				w.duringExchange(func() { must(w.t, w.Delete(w.t.Context(), w.look(xiaomi))) })
				if !w.eventually(func() bool { return w.state(xiaomi, "refresh_token") == w.grant().Current }) {
					w.t.Fatal("the successor was not saved")
				}
				if !w.eventually(func() bool { return w.read(xiaomi+"-token") == nil }) {
					w.t.Error("the target outlives its credential")
				}
				calls := w.calls()
				builtInNamed(w.t, xiaomi).create(w)
				w.keptAndFresh()
				if w.calls() != calls || w.state(xiaomi, "refresh_token") == before {
					w.t.Errorf("the provider got %d calls for a token that was kept", w.calls()-calls)
				}
			},
		},
		{
			name:    "SIGTERM during the claim",
			shows:   []string{"SIGTERM during the claim"},
			promise: "a claim that was applied as the process was told to end is withdrawn, and the next process goes on",
			play: func(w *world) {
				var onClaim atomic.Pointer[func()]
				w.wire = func(direct http.RoundTripper) http.RoundTripper {
					return roundTrip(func(request *http.Request) (*http.Response, error) {
						end := onClaim.Load()
						if end == nil || request.Method != http.MethodPut || !strings.HasSuffix(request.URL.Path, "/"+xiaomiState) || !onClaim.CompareAndSwap(end, nil) {
							return direct.RoundTrip(request)
						}
						(*end)()
						response, err := direct.RoundTrip(request.WithContext(context.WithoutCancel(request.Context())))
						if ended := request.Context().Err(); err == nil && ended != nil { // applied, and nobody hears of it
							_ = response.Body.Close()
							return nil, ended
						}
						return response, err
					})
				}
				operator := w.start()
				w.fresh()
				calls := w.calls()
				end := func() {
					operator.stop()
					<-operator.ending
				}
				onClaim.Store(&end)
				w.fallDue()
				w.await(xiaomi, "the claim", func(*v1alpha1.TokenCredential) bool { return onClaim.Load() == nil })
				operator.shutDown()
				if w.state(xiaomi, "attempt") != "" || w.calls() != calls {
					w.t.Errorf("a claim stays, and the provider got %d calls, want none", w.calls()-calls)
				}
				w.start()
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
			},
		},
		{
			name:    "SIGTERM during the exchange",
			shows:   []string{"SIGTERM during the exchange"},
			promise: "the reply is awaited, committed, published and told; then the process ends",
			play: func(w *world) {
				operator := w.start()
				w.fresh()
				w.duringExchange(func() { operator.stop() })
				operator.shutDown()
				if got := w.look(xiaomi).Status.RefreshCount; got != 2 {
					w.t.Errorf("%d refreshes are told when the process has ended, want 2", got)
				}
				w.keptAndFresh()
			},
		},
		{
			name:    "SIGTERM during a commit that keeps failing",
			shows:   []string{"SIGTERM during a commit that keeps failing"},
			promise: "the process does not end before it is saved",
			play: func(w *world) {
				operator := w.start()
				w.fresh()
				refusals := w.refuseCommits(apierrors.NewInternalError(http.ErrServerClosed))
				w.fallDue()
				w.awaitRefusals(refusals, 1)
				operator.stop()
				w.awaitRefusals(refusals, refusals.Load()+2)
				w.stateWrites.intercept(nil)
				operator.shutDown()
				w.kept(simulator.DemoXiaomiGrant, 0)
				if w.state(xiaomi, "refresh_token") != w.grant().Current || w.state(xiaomi, "attempt") != "" {
					w.t.Error("the process ended before the successor was saved")
				}
			},
		},
		{
			name:    "the user replaces the seed during an exchange",
			shows:   []string{"the user replaces the seed during an exchange"},
			promise: "the successor is saved, then the new seed is adopted",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.duringExchange(w.authorizeAgain)
				w.await(xiaomi, "the other family", func(*v1alpha1.TokenCredential) bool {
					other, _ := w.simulator.Grant("other")
					return other.Refreshes == 1 && w.state(xiaomi, "refresh_token") == other.Current
				})
				w.awaitFresh(xiaomi)
				w.kept("other", 0)
				if got := w.grant().Refreshes; got != 2 {
					w.t.Errorf("the exchange under way was made %d times, want once", got-1)
				}
			},
		},
		{
			name:    "invalid_grant while the seed has changed",
			shows:   []string{"invalid_grant while the seed has changed"},
			promise: "the new seed is used, and nobody is asked to authorize again",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.exchangeWith(simulator.Fault{Reply: &simulator.Reply{Body: `&&&START&&&{"error":96009,"error_description":"expired"}`}}, w.authorizeAgain)
				w.awaitRefreshes(xiaomi, 2)
				w.awaitFresh(xiaomi)
				w.kept("other", 0)
				if got := w.events(xiaomi, v1alpha1.ReauthorizationRequiredReason); got != 0 {
					w.t.Error("a person was asked to authorize again")
				}
			},
		},
		{
			name:    "a failures rule that matches a reply which also holds a new refresh token",
			promise: "the token is saved, and the failure told",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Rewrite: func(own simulator.Reply) simulator.Reply {
					own.Status = http.StatusTooManyRequests
					own.Body = strings.Replace(own.Body, `"access_token"`, `"no_access_token"`, 1)
					return own
				}})
				w.fallDue()
				w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.RateLimitedReason)
				if w.state(xiaomi, "refresh_token") != w.grant().Current {
					w.t.Error("the successor that came with a failure is lost")
				}
				w.awaitRefreshes(xiaomi, 3)
				w.keptAndFresh()
			},
		},
	}...))
}

// refusedCommits: the API server takes no commit for a while.
func refusedCommits() []fault {
	var cases []fault
	for _, each := range []struct {
		name, shows string
		refusal     error
	}{
		{name: "403, on the commit", shows: "403", refusal: apierrors.NewForbidden(secretsResource, xiaomiState, nil)},
		{name: "429 and 500, on the commit", shows: "429 and 500 on a quarter of all calls", refusal: apierrors.NewTooManyRequestsError("later")},
		{name: "API server away at the commit", shows: "API server away for ten minutes at the commit", refusal: http.ErrServerClosed},
		{name: "an admission webhook's refusal, on the commit", shows: "an admission webhook's refusal",
			refusal: apierrors.NewBadRequest("admission webhook denied the request")},
	} {
		cases = append(cases, fault{
			name:    each.name,
			promise: "the successor is kept in memory, told, and saved as soon as that can be",
			play: func(w *world) {
				w.start()
				w.fresh()
				calls := w.calls()
				faults.Shows(w.t, each.shows)
				refusals := w.refuseCommits(each.refusal)
				w.fallDue()
				w.awaitCondition(xiaomi, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.PersistBlockedReason)
				_, told := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.PersistBlockedReason)
				for _, part := range []string{xiaomiState, "do not restart the operator"} {
					if !strings.Contains(told.Message, part) {
						w.t.Errorf("the message does not say %q: %s", part, told.Message)
					}
				}
				w.awaitEvents(xiaomi, v1alpha1.RefreshFailedEvent, 1)
				w.awaitRefusals(refusals, 3)
				if unsaved := w.gauge("tokenkeeper_unsaved_rotations"); unsaved != 1 {
					w.t.Errorf("%v rotations are told as unsaved, want 1", unsaved)
				}
				w.kept(simulator.DemoXiaomiGrant, 0)
				w.stateWrites.intercept(nil)
				w.awaitRefreshes(xiaomi, 2)
				w.keptAndFresh()
				if unsaved := w.gauge("tokenkeeper_unsaved_rotations"); unsaved != 0 {
					w.t.Errorf("%v rotations are told as unsaved after all, want 0", unsaved)
				}
				if got := w.calls() - calls; got != 1 || w.grant().Refreshes != 2 {
					w.t.Errorf("the provider got %d calls, want 1", got)
				}
			},
		})
	}
	return cases
}

// refuseCommits has every commit refused, and counts how many were.
func (w *world) refuseCommits(refusal error) *atomic.Int32 {
	refusals := &atomic.Int32{}
	w.stateWrites.intercept(func(write stateWrite) error {
		if write.claims() {
			return write.through()
		}
		refusals.Add(1)
		return refusal
	})
	return refusals
}

func (w *world) awaitRefusals(refusals *atomic.Int32, n int32) {
	w.t.Helper()
	if !w.eventually(func() bool { return refusals.Load() >= n }) {
		w.t.Fatalf("%d commits were tried, want %d", refusals.Load(), n)
	}
}

// duringExchange does something while the provider, which has acted, takes its
// time to answer.
func (w *world) duringExchange(do func()) {
	w.t.Helper()
	w.exchangeWith(simulator.Fault{AfterActing: true}, do)
}

// exchangeWith begins an exchange that a fault befalls, and does something before
// the provider answers.
func (w *world) exchangeWith(delayed simulator.Fault, do func()) {
	w.t.Helper()
	answer := make(chan struct{})
	delayed.Until = answer
	calls := w.calls()
	w.simulator.QueueFault(xiaomiCalls, 1, delayed)
	w.fallDue()
	w.await(xiaomi, "a call", func(*v1alpha1.TokenCredential) bool { return w.calls() > calls })
	do()
	close(answer)
}
