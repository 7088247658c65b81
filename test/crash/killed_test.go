// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// moment is where a process is killed: reached waits until it is there, and leave
// is called once it is dead.
type moment func(*pod) (reached, leave func())

// before is the moment at which the API server is about to get a request.
func before(kind kind) moment { return held(kind, false) }

// after is the moment at which the API server has done what was asked, and nobody
// has heard of it.
func after(kind kind) moment { return held(kind, true) }

func held(kind kind, applied bool) moment {
	return func(p *pod) (reached, leave func()) {
		held := p.api.hold(kind, applied)
		return held.await, held.drop
	}
}

// sent is the moment at which the provider has acted and its reply is on its way.
func sent(p *pod) (reached, leave func()) {
	release := p.s.holdReply()
	return func() { p.s.t.Helper(); p.s.awaitCalls(2) }, release
}

// death is a process that is killed at a moment of the second refresh, and what
// the next one makes of it.
type death struct {
	shows   string // row of the list of faults
	how     string
	promise string
	at      moment
	change  func(*scene, *v1alpha1.TokenCredential)
	// elsewhere is true where the next process lives in another pod, which knows
	// neither the spool of the first nor that it is dead.
	elsewhere bool
	// stalls is why a person must act; empty: all is well.
	stalls string
	want   tally
	// unseen is true where the first token may have died with its process before anybody
	// saw it: then it is not counted, and two tokens are one.
	unseen bool
	// then is what a person does, where one must act. It brings one token.
	then func(*scene)
}

const (
	inThePod  = "in the same pod"
	elsewhere = "in another pod"
)

func deaths() []death {
	all := []death{
		{
			shows: "killed before the claim", how: inThePod,
			promise: "nothing was sent: the next process claims and sends, once",
			at:      before(claim), want: tally{calls: 2},
		},
		{
			shows: "killed before the claim", how: elsewhere, elsewhere: true,
			promise: "without a claim there is nothing to wait for",
			at:      before(claim), want: tally{calls: 2},
		},
	}
	all = append(all, deathsAfterClaim()...)
	all = append(all, deathsAfterSending()...)
	all = append(all, deathsAfterReply()...)
	return append(all, deathsWhileProven()...)
}

func deathsAfterClaim() []death {
	return []death{
		{
			shows: "killed after the claim", how: inThePod + ", with Hold", promise: "it may have been sent: it is told, and not sent",
			at: after(claim), stalls: v1alpha1.OutcomeUnknownReason, want: tally{calls: 1},
			then: (*scene).allowRetry,
		},
		{
			shows: "killed after the claim", how: elsewhere + ", with Hold", promise: "the same, once the holder counts as gone",
			at: after(claim), elsewhere: true, stalls: v1alpha1.OutcomeUnknownReason, want: tally{calls: 1},
			then: (*scene).allowRetry,
		},
		{
			shows: "killed after the claim", how: inThePod + ", with RetryOnce", promise: "it is sent, once",
			at: after(claim), change: retryOnce, want: tally{calls: 2},
		},
		{
			shows: "killed after the claim", how: elsewhere + ", with RetryOnce", promise: "it is sent, once, after the holder counts as gone",
			at: after(claim), elsewhere: true, change: retryOnce, want: tally{calls: 2},
		},
	}
}

func deathsAfterSending() []death {
	return []death{
		{
			shows: "killed after sending, with a reuse window", how: inThePod, promise: "the same token is sent again inside the window, once",
			at: sent, change: withWindow, want: tally{calls: 3, windowReuses: 1},
		},
		{
			shows: "killed after sending, with a reuse window", how: elsewhere, promise: "the same, once the holder counts as gone",
			at: sent, elsewhere: true, change: withWindow, want: tally{calls: 3, windowReuses: 1},
		},
		{
			shows: "killed after sending, without a reuse window", how: inThePod + ", with Hold", promise: "it is not sent again, and told",
			at: sent, stalls: v1alpha1.OutcomeUnknownReason, want: tally{calls: 2}, then: (*scene).cure,
		},
		{
			shows: "killed after sending, without a reuse window", how: elsewhere + ", with Hold", promise: "it is not sent again, and told",
			at: sent, elsewhere: true, stalls: v1alpha1.OutcomeUnknownReason, want: tally{calls: 2}, then: (*scene).cure,
		},
		{
			shows: "killed after sending, without a reuse window", how: inThePod + ", with RetryOnce", promise: "it is sent once more, and its loss is told",
			at: sent, change: retryOnce, stalls: v1alpha1.RotatedTokenLostReason, want: tally{calls: 3, reuses: 1}, then: (*scene).cure,
		},
	}
}

func deathsAfterReply() []death {
	return []death{
		{
			shows: "killed after the spool (the container restarts)", how: inThePod, promise: "what the spool holds is saved, without a call",
			at: before(commit), want: tally{calls: 2},
		},
		{
			shows: "killed after the spool (the container restarts)", how: elsewhere, promise: "the successor died with its pod: it is not asked for again, and told",
			at: before(commit), elsewhere: true, stalls: v1alpha1.OutcomeUnknownReason, want: tally{calls: 2}, then: (*scene).cure,
		},
		{
			shows: "killed after the commit", how: inThePod, promise: "it is published from the state, without a call",
			at: after(commit), want: tally{calls: 2},
		},
		{
			shows: "killed after the commit", how: elsewhere, promise: "it is published from the state, at once, without a call",
			at: after(commit), elsewhere: true, want: tally{calls: 2},
		},
		{
			shows: "killed after the target, before status", how: "with the reply to the target under way", promise: "the next process tells of it, without a call",
			at: after(publication), want: tally{calls: 2},
		},
		{
			shows: "killed after the target, before status", how: "with the status under way", promise: "the next process tells of it, without a call",
			at: before(statusUpdate), want: tally{calls: 2},
		},
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	for _, each := range deaths() {
		t.Run(each.shows+", "+each.how, func(t *testing.T) {
			t.Parallel()
			faults.Shows(t, each.shows)
			defer func() {
				if t.Failed() {
					t.Logf("promised: %s", each.promise)
				}
			}()
			each.play(t)
		})
	}
}

func (d death) play(t *testing.T) {
	t.Helper()
	var changes []func(*scene, *v1alpha1.TokenCredential)
	if d.change != nil {
		changes = append(changes, d.change)
	}
	s := newSceneSoonDue(t, changes...)
	next := s.newPod()
	pod := next
	if d.elsewhere {
		pod = s.newPod()
	}
	reached, leave := d.at(pod)
	first := pod.start()
	reached()
	first.kill()
	leave()

	second := next.start()
	if d.stalls == "" {
		s.awaitCalls(d.want.calls)
		s.await("all is well after two tokens", func() bool { return s.isFresh(2) || d.unseen && s.isFresh(1) })
	} else {
		s.awaitStalled(d.stalls)
	}
	s.check(d.want)
	if d.then != nil {
		d.then(s)
		d.want.calls++
	}
	second.stop() // so that whatever it had in hand is done
	s.checkTally(d.want)
}

// window in which the spent token is still honoured, where there is one.
const window = 10 * time.Minute

// withWindow describes Xiaomi as if it had a reuse window, and gives the simulator
// the same.
func withWindow(s *scene, credential *v1alpha1.TokenCredential) {
	specs, err := builtin.Specs()
	s.must(err)
	provider := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "of-" + s.namespace}, Spec: specs["xiaomi"]}
	provider.Spec.Rotation.ReuseWindow = &v1alpha1.Duration{Duration: metav1.Duration{Duration: window}}
	s.must(s.Create(s.t.Context(), provider))
	s.provider.Configure(func(o *simulator.Options) {
		o.Xiaomi.Rotation = simulator.Rotation{ReuseWindow: simulator.Duration(window), RevokeOnReuse: true}
	})
	credential.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: provider.Name}
}

// allowRetry is what a person may do about a token that was claimed: it turns out
// to be unspent.
func (s *scene) allowRetry() {
	s.t.Helper()
	s.patch(&v1alpha1.TokenCredential{}, name, `{"spec":{"onUnknownOutcome":"RetryOnce"}}`)
	s.awaitFresh(2)
}

func TestKilledAndTheTargetIsGone(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	pod := s.newPod()
	first := pod.start()
	s.awaitFresh(1)
	first.kill()
	s.must(s.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}))
	second := pod.start()
	s.awaitFresh(1)
	second.stop()
	s.check(tally{calls: 1}) // the target is written from the state
}
