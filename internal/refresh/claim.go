// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// refreshOnce sends a single-use token: claim, fence, exchange, commit.
func (x *renewal) refreshOnce(ctx context.Context, state rotation.State, prepared *prepared) error {
	resend := x.job.Found.Recovery == rotation.Resend && x.job.Found.Seed != rotation.SeedNew
	if resend {
		x.doubtful = state.Attempt
	}
	// Claim and withdrawal change the state, which brings the next reconcile at once.
	if again := x.attempts.lastContended(x.key).Add(contendedPause); x.Clock.Now().Before(again) {
		return &Pause{Until: again, Why: problem.OneLine(rotation.ErrContended)}
	}
	x.InFlight.Add(1) // the process does not end before what comes is saved
	defer x.InFlight.Done()
	sendable, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	attempt := x.newAttempt(state, resend)
	claimedAt, isFirst := x.Clock.Now(), !x.record.Exists()
	if err := x.claim(ctx, state.Claim(attempt)); err != nil {
		x.attempts.miss(x.key, attempt.ID)
		return x.notSaved(err)
	}
	x.adopted()
	x.attempts.observe(x.key, x.record)
	err := x.recheck(ctx, isFirst)
	if err == nil {
		err = x.fence(ctx, claimedAt)
	}
	if err != nil {
		return x.withdrawUnsent(ctx, err)
	}
	outcome, err := x.exchange(sendable, prepared)
	return x.takeInClaimed(ctx, outcome, err, resend)
}

// recheck checks again what the first claim may have changed.
func (x *renewal) recheck(ctx context.Context, isFirst bool) error {
	if !isFirst || x.job.Recheck == nil {
		return nil
	}
	return x.job.Recheck(ctx)
}

// newAttempt describes the claim. A token that is sent again keeps the time at
// which it was first sent, since that is when its reuse window opened.
func (x *renewal) newAttempt(state rotation.State, resend bool) rotation.Attempt {
	attempt := rotation.Attempt{ID: uuid.NewString(), Holder: x.Holder, Started: x.Clock.Now().UTC(), Resend: resend}
	if resend && state.Attempt != nil {
		attempt.Started = state.Attempt.Started
	}
	return attempt
}

// claim saves a claim, unless the process is ending. Once it is under way a shutdown
// does not cut it off: a claim that is saved without an answer would stay, and tell
// the next process of a token that was never sent.
func (x *renewal) claim(ctx context.Context, claimed rotation.State) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fenceTimeout)
	defer cancel()
	return x.States.Save(ctx, x.record, claimed)
}

// adopted notes that a new seed is in use, once that is saved: it is not adopted a
// second time, which would take it for unspent after it was sent.
func (x *renewal) adopted() {
	if x.job.Found.Seed == rotation.SeedNew {
		x.job.Found.Seed, x.result.SeedAdopted = rotation.SeedUnchanged, true
	}
}

// fence holds back a token that should not be sent although it is claimed: the
// process is ending or has lost its lease, it was frozen since the claim, or an
// older credential works on the same token.
func (x *renewal) fence(ctx context.Context, claimedAt time.Time) error {
	if x.record.State.Untried() {
		if err := x.checkTwin(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil || x.isLate(claimedAt) {
		return &Pause{Until: x.Clock.Now(), Why: "the claim came too late to send"}
	}
	if x.doubtful != nil && !x.maySendAgain() {
		return &Pause{Until: x.Clock.Now(), Why: "the reuse window has closed meanwhile"}
	}
	return nil
}

// isLate reports whether too much time has passed since the claim was sent: another
// process may have taken the token over.
func (x *renewal) isLate(claimedAt time.Time) bool {
	return x.Clock.Now().Sub(claimedAt) > fenceTimeout
}

// maySendAgain reports whether the token of an unknown outcome may still be sent
// once more.
func (x *renewal) maySendAgain() bool {
	before := x.record.State
	before.Attempt = x.doubtful
	return x.recoveryOf(x.job.Credential, x.job.Inputs, before) == x.job.Found.Recovery
}

// checkTwin looks for an older state on the same refresh token.
func (x *renewal) checkTwin(ctx context.Context) error {
	twin, err := x.States.OlderTwin(ctx, x.record)
	switch contended := errors.Is(err, rotation.ErrContended); {
	case contended && x.attempts.contend(x.key, x.Clock.Now()) < rotation.HolderTimeout:
		return &Pause{Until: x.Clock.Now().Add(contendedPause), Why: problem.OneLine(err)}
	case err != nil && !contended:
		return x.notSaved(err)
	case twin != nil: // one that is contended for longer has been sent, and its outcome is not known
		x.result.Answered = true // a refresh that was asked for is answered by that
		return duplicate(x.job.Credential, twin)
	}
	x.attempts.uncontend(x.key)
	return nil
}
