// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// A process that is killed again and again, and now and then frozen for a while.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	const lives = 8
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	while := func(most time.Duration) { <-time.After(time.Duration(random.Int64N(int64(most)))) }

	s := newScene(t, 3*simulator.Second)
	pod := s.newPod()
	process := pod.start()
	for range lives {
		s.await("a token is there", func() bool { return s.data(name) != nil })
		while(2 * time.Second)
		if random.IntN(3) == 0 {
			process.freeze()
			while(time.Second)
			process.thaw()
			while(time.Second)
		}
		process.kill()
		s.checkLeft()
		process = pod.start()
		s.await("a claim that was left is settled or told", func() bool {
			return s.state("attempt") == "" || s.stalled(v1alpha1.OutcomeUnknownReason)
		})
		if s.stalled(v1alpha1.OutcomeUnknownReason) {
			s.authorizeAgain()
			s.await("the new refresh token is taken up", func() bool { return !s.stalled(v1alpha1.OutcomeUnknownReason) })
		}
	}
	before := s.credential().Status.RefreshCount
	s.await("it goes on", func() bool { return s.credential().Status.RefreshCount > before+1 })
	process.stop()
	s.checkLeft()
	if s.state("refresh_token") != s.grant().Current || s.state("attempt") != "" {
		t.Errorf("a manager that ended in order left something undone\n%s", s.describe())
	}
}

// checkLeft checks what an ended process leaves: the current token, or a claim on
// the one before it, which the next process cannot overlook.
func (s *scene) checkLeft() {
	s.t.Helper()
	if s.data(name+v1alpha1.StateSecretSuffix) == nil {
		return // killed before the first claim
	}
	if s.state("refresh_token") != s.grant().Current && s.state("attempt") == "" {
		s.t.Errorf("a refresh token is lost and nothing in the state says so\n%s", s.describe())
	}
	if s.provider.Totals().Reuses != 0 {
		s.t.Errorf("a spent token was sent\n%s", s.describe())
	}
}
