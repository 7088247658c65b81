// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// settle takes in the outcome of an exchange that spends nothing.
func (r *renewal) settle(ctx context.Context, state rotation.State, outcome provider.Outcome, err error) error {
	if errors.Is(err, errUnknownOutcome) {
		return &problem{reason: v1alpha1.ProviderUnavailableReason, message: "no answer came from the provider: " + oneLine(err), attempted: true}
	}
	if err != nil {
		return err
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason
	}
	if outcome.Reason == v1alpha1.RefreshedReason && r.worthSaving(r.next(state, outcome)) || brought(outcome, state) {
		before := r.record.State.RefreshToken
		commit := func(stored rotation.State) (rotation.State, bool) {
			return r.next(r.adopt(stored), outcome), stored.RefreshToken.Equal(before)
		}
		if err := r.commit(ctx, commit); err != nil {
			return r.notSaved(err)
		}
		r.adopted()
	}
	return r.conclusion(outcome)
}

// settleClaimed takes in the outcome of an exchange under a claim.
func (r *renewal) settleClaimed(ctx context.Context, outcome provider.Outcome, err error, resent bool) error {
	switch {
	case errors.Is(err, errUnknownOutcome), err == nil && outcome.Reason == v1alpha1.OutcomeUnknownReason && outcome.Tokens.RefreshToken.IsZero():
		// The claim stays: the next visit finds it and decides.
		r.Metrics.refreshed(r.provider.Name, v1alpha1.OutcomeUnknownReason)
		log.FromContext(ctx).Info("no clear answer came to a single-use token", "error", unclear(outcome, err))
		return &pause{until: r.now, why: "the outcome of the exchange is unknown"}
	case err != nil: // nothing was sent
		return r.withdraw(ctx, r.doubtful(err))
	case outcome.Reason != v1alpha1.RefreshedReason && outcome.Tokens.RefreshToken.IsZero():
		if resent && outcome.Reason == v1alpha1.ReauthorizationRequiredReason {
			lost := rotatedTokenLost()
			lost.attempted = true
			return r.end(ctx, rotation.State.Lose, lost)
		}
		if resent {
			return r.doubtful(r.conclusion(outcome)) // this one was not spent, and nobody knows of the first: the claim stays
		}
		return r.withdraw(ctx, r.conclusion(outcome))
	}
	if err := r.save(ctx, outcome); err != nil {
		return r.notSaved(err)
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason // nothing is unknown: the successor is there
	}
	return r.conclusion(outcome)
}

// save commits what a claimed exchange brought. Until that is done it is in the
// spool too.
func (r *renewal) save(ctx context.Context, outcome provider.Outcome) error {
	claim, sent := r.record.State.Attempt, r.record.State.RefreshToken
	if err := r.Spool.Put(claim, sent, r.grant(outcome)); err != nil {
		log.FromContext(ctx).Error(err, "the token that was received is in memory alone until it is saved")
	}
	err := r.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		next, own := r.next(stored, outcome), stored.Attempt != nil && stored.Attempt.ID == claim.ID
		if !own {
			next.Attempt = stored.Attempt // somebody else's claim is not ours to end
		}
		return next, own || stored.RefreshToken.Equal(sent)
	})
	if err == nil {
		r.Spool.Drop(claim)
	}
	return err
}

// withdraw takes the claim back after nothing was spent, and says why. It is as
// stubborn as a commit: a claim that stays would look like a token that was sent.
// Where it was to send a token again, the doubt about the first time stays.
func (r *renewal) withdraw(ctx context.Context, why error) error {
	return r.end(ctx, func(state rotation.State) rotation.State {
		state = state.Withdraw()
		state.Attempt = r.doubt
		return state
	}, why)
}

// doubtful adds to a failure of a retry that the doubt about the first time stays.
func (r *renewal) doubtful(err error) error {
	var told *problem
	if r.doubt != nil && errors.As(err, &told) {
		told.message += "; what became of the refresh token when it was sent at " + rfc3339(r.doubt.Started) + " is still unknown"
	}
	return err
}

// end ends the claim without a successor of its token, and says why. Where another
// process has taken the claim over, how this one fared does not matter any more.
func (r *renewal) end(ctx context.Context, transition func(rotation.State) rotation.State, why error) error {
	own := r.record.State.Attempt.ID
	err := r.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return transition(stored), stored.Attempt != nil && stored.Attempt.ID == own
	})
	if errors.Is(err, rotation.ErrSuperseded) {
		return &pause{until: r.now, why: "another process has taken the claim over"}
	}
	return errors.Join(err, why)
}
