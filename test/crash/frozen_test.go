// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// A process is frozen between its claim and its exchange, until another has seen
// the claim for longer than an exchange takes.

func TestFrozenBeforeItHearsOfItsClaim(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a process frozen for a minute between claim and exchange")
	t.Run("with RetryOnce", func(t *testing.T) {
		t.Parallel()
		s := newSceneSoonDue(t, retryOnce)
		first, second, held := s.freezeAtClaim()
		s.awaitFresh(2) // the second has sent the token
		first.thaw()
		held.release()
		s.await("the first knows better", first.hasPaused)
		first.stop()
		second.stop()
		s.check(tally{calls: 2})
	})
	t.Run("with Hold", func(t *testing.T) {
		t.Parallel()
		s := newSceneSoonDue(t)
		first, second, held := s.freezeAtClaim()
		s.awaitStalled(v1alpha1.OutcomeUnknownReason)
		s.check(tally{calls: 1})
		first.thaw()
		held.release()
		// The first knows that its token was not sent. It takes the claim back, and
		// with another the token is sent, once.
		s.await("the first knows better", first.hasPaused)
		s.awaitFresh(2)
		first.stop()
		second.stop()
		s.check(tally{calls: 2})
	})
}

// hasPaused tells whether the process has put something off: to send a token whose
// claim is too old, or to save a claim of which it has heard nothing for too long.
// It says the first where it runs with --zap-log-level=1.
func (p *process) hasPaused() bool {
	said := p.said()
	return strings.Contains(said, `"msg":"paused"`) || strings.Contains(said, `"msg":"not renewed"`)
}

// freezeAtClaim freezes a process whose claim has been made and that has not heard
// of it, and starts another.
func (s *scene) freezeAtClaim() (first, second *process, held *hold) {
	s.t.Helper()
	pod := s.newPod()
	held = pod.api.hold(claim, true)
	first = pod.start("--zap-log-level=1")
	held.await()
	first.freeze()
	return first, s.newPod().start(), held
}
