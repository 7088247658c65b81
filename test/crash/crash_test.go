// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// hold lets the provider act on the next call and keeps its reply back until
// release is called.
func (s *scene) hold() (release func()) {
	until := make(chan struct{})
	s.provider.QueueFault(simulator.Match{}, 1, simulator.Fault{AfterActing: true, Until: until})
	return func() { close(until) }
}

func TestKilledAfterSending(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	release := s.hold()
	first := s.start()
	s.awaitCalls(1)
	first.kill()
	release()
	s.start()
	s.await("the unknown outcome is told", func() bool { return s.stalled(v1alpha1.OutcomeUnknownReason) })
	s.checkInvariant(0)
	if calls := s.provider.Calls(simulator.Match{}); calls != 1 {
		t.Errorf("the provider got %d calls, want 1: a token that may be spent is not sent again", calls)
	}

	// The documented way out: a person authorizes again and seeds the new token.
	_, err := s.provider.Add(simulator.Seed{Grants: []simulator.Grant{
		{ID: "again", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: "authorized-again"},
	}})
	s.must(err)
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "seed"}}
	s.must(s.Patch(t.Context(), seed, client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"refresh_token":"authorized-again"}}`))))
	s.await("the new seed is in use", func() bool {
		grant, _ := s.provider.Grant("again")
		return grant.Refreshes == 1 && s.state("refresh_token") == grant.Current && !s.stalled(v1alpha1.OutcomeUnknownReason)
	})
}

func TestKilledAfterSendingWithOneRetryAllowed(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour, func(c *v1alpha1.TokenCredential) { c.Spec.OnUnknownOutcome = v1alpha1.RetryOnce })
	release := s.hold()
	first := s.start()
	s.awaitCalls(1)
	first.kill()
	release()
	s.start()
	s.await("the loss is told", func() bool { return s.stalled(v1alpha1.RotatedTokenLostReason) })
	s.checkInvariant(1) // the one recorded retry
}

func TestKilledAndTheTargetIsGone(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	first := s.start()
	s.await("the first token is there", func() bool { return s.data(name) != nil })
	first.kill()
	token := string(s.data(name)["access_token"])
	s.must(s.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}))

	s.start()
	s.await("the target is there again", func() bool { return string(s.data(name)["access_token"]) == token })
	if calls := s.provider.Calls(simulator.Match{}); calls != 1 {
		t.Errorf("the provider got %d calls, want 1: the target is written from the state", calls)
	}
	s.checkInvariant(0)
}

func TestTerminatedDuringTheExchange(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	release := s.hold()
	first := s.start()
	s.awaitCalls(1)
	first.terminate()
	release()
	first.end()
	s.checkInvariant(0)
	if s.state("attempt") != "" || s.state("refresh_token") != s.grant().Current {
		t.Errorf("the manager ended before it had saved what it was sent\n%s", s.describe())
	}
	if token := string(s.data(name)["access_token"]); !s.provider.AccessTokenValid(token) {
		t.Error("the manager ended before it had published what it was sent")
	}
}

func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	const lives = 8
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s := newScene(t, 3*simulator.Second)
	p := s.start()
	for range lives {
		s.await("a token is there", func() bool { return s.data(name) != nil || s.stalled(v1alpha1.OutcomeUnknownReason) })
		life := time.NewTimer(time.Duration(random.Int64N(int64(2 * time.Second))))
		<-life.C
		p.kill()
		s.checkState()
		p = s.start()
	}
	before := s.grant().Refreshes
	s.await("it goes on, or says that it cannot", func() bool {
		return s.grant().Refreshes > before+1 || s.stalled(v1alpha1.OutcomeUnknownReason)
	})
	p.terminate()
	p.end()
	s.checkInvariant(0)
}

// checkState checks what a killed process leaves: the current token, or a claim on
// the one before it, which the next process cannot overlook.
func (s *scene) checkState() {
	s.t.Helper()
	if s.data(name+v1alpha1.StateSecretSuffix) == nil {
		return // killed before the first claim
	}
	if s.state("refresh_token") != s.grant().Current && s.state("attempt") == "" {
		s.t.Errorf("a refresh token is lost and nothing in the state says so\n%s", s.describe())
	}
	if s.grant().Reuses != 0 {
		s.t.Errorf("a spent token was sent\n%s", s.describe())
	}
}
