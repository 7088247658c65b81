// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// settle takes in the outcome of an exchange under the claim.
func (c *claim) settle(ctx context.Context, outcome provider.Outcome, err error) error {
	switch {
	case err == nil && outcome.UnkeptRefreshToken > 0: // it is lost for good: to wait or to send again would not bring it back
		return c.lose(ctx, outcome)
	case call.IsUnknown(err), err == nil && outcome.Reason == v1alpha1.OutcomeUnknownReason && outcome.Grant.RefreshToken.IsZero():
		return c.unknown(ctx, outcome, err) // the claim stays
	case err != nil && call.WasAnswered(err): // that nothing was spent
		return c.withdraw(ctx, c.withDoubt(err))
	case err != nil: // nothing was sent
		return c.withdrawUnsent(ctx, c.withDoubt(err))
	case outcome.Reason != v1alpha1.RefreshedReason && outcome.Grant.RefreshToken.IsZero():
		return c.refused(ctx, outcome)
	}
	if err := c.save(ctx, outcome); err != nil {
		return c.x.notSaved(err)
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason // nothing is unknown: the successor is there
	}
	return c.x.conclude(outcome)
}

// lose ends the claim on a token whose successor cannot be kept. The access token that came
// with it is as good as ever.
func (c *claim) lose(ctx context.Context, outcome provider.Outcome) error {
	grant := weigh.Kept(c.x.job.Inputs, outcome)
	if outcome.Reason == v1alpha1.RefreshedReason {
		c.x.result.Token = outcome.Grant.Token
	}
	lost := func(state rotation.State, attempt string) rotation.State {
		state = state.Lose(attempt)
		if !grant.AccessToken.IsZero() {
			state.Token, state.TokenOrigin = grant.Token, state.Origin
		}
		return state
	}
	return c.end(ctx, lost, advice.LostForSize(c.x.job.Credential, outcome.UnkeptRefreshToken))
}

// unknown leaves the claim, which says that the token may be spent, and says how to
// go on.
func (c *claim) unknown(ctx context.Context, outcome provider.Outcome, err error) error {
	words := outcome.Message
	if err != nil {
		words = problem.OneLine(err)
	}
	log.FromContext(ctx).Info("no clear answer came to a single-use token", "answer", words)
	if errors.Is(err, courier.ErrSilent) {
		return c.x.r.pause("the courier is asked what became of the exchange")
	}
	c.x.r.Saver.HandOver(c.x.record.State.Attempt.ID) // the courier knows no more of it
	if c.x.r.recoveryOf(c.x.job.Credential, c.x.job.Inputs, c.x.record.State, heard{}) == recovery.Resend {
		return c.x.r.pause("the token is sent once more")
	}
	return advice.Unknown(c.x.job.Credential, c.x.record.State.Attempt, words)
}

// refused takes in the provider's word that nothing was spent.
func (c *claim) refused(ctx context.Context, outcome provider.Outcome) error {
	if c.resend && outcome.Reason == v1alpha1.ReauthorizationRequiredReason {
		return c.end(ctx, rotation.State.Lose, advice.Lost(c.x.job.Credential))
	}
	if c.leavesDoubt(outcome) {
		c.x.r.Saver.HandOver(c.x.record.State.Attempt.ID) // it would be taken in again, and again change nothing
		return c.withDoubt(c.x.conclude(outcome))
	}
	if outcome.Reason != v1alpha1.ReauthorizationRequiredReason {
		return c.withdraw(ctx, c.x.conclude(outcome))
	}
	c.x.refused = c.sent
	return c.end(ctx, func(state rotation.State, attempt string) rotation.State {
		return c.x.refuse(state.Withdraw(attempt, nil))
	}, c.x.conclude(outcome))
}

// leavesDoubt reports whether an answer leaves the claim as it is: of a token that was sent
// once more it says that nothing was spent this time, and nothing of the first, unless that
// has brought a successor.
func (c *claim) leavesDoubt(outcome provider.Outcome) bool {
	return c.resend && c.sent.Equal(c.x.record.State.RefreshToken) && outcome.Reason != v1alpha1.RefreshedReason && outcome.Reason != v1alpha1.ReauthorizationRequiredReason &&
		outcome.Grant.RefreshToken.IsZero() && outcome.UnkeptRefreshToken == 0
}

// save commits what the exchange brought. Until that is done it is in the spool too.
func (c *claim) save(ctx context.Context, outcome provider.Outcome) error {
	claimed := c.x.record.State.Attempt
	if err := c.x.r.Saver.Spool.Put(c.x.key.Namespace, claimed.ID, c.sent, weigh.Kept(c.x.job.Inputs, outcome)); err != nil {
		log.FromContext(ctx).Error(err, "the token that was received is in memory alone until it is saved")
	}
	exchange := rotation.Exchange{Attempt: claimed.ID, Sent: c.sent, Origin: c.x.record.State.Origin, Proves: weigh.Proves(c.x.job.Inputs, outcome, c.resend)}
	return c.x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return weigh.Following(c.x.job.Inputs, stored, outcome, exchange), stored.Accepts(exchange)
	})
}

// withdraw ends the claim after nothing was spent, and says why. It is as
// stubborn as a commit: a claim that stays would look like a token that was sent.
// Where it was to send a token again, the outcome of the first time stays unknown.
func (c *claim) withdraw(ctx context.Context, why error) error {
	return c.end(ctx, func(state rotation.State, attempt string) rotation.State {
		return state.Withdraw(attempt, c.doubtful)
	}, why)
}

// withdrawUnsent is the same where nothing was sent. A token that never was belongs to no
// origin yet, so that it follows a corrected URL.
func (c *claim) withdrawUnsent(ctx context.Context, why error) error {
	return c.end(ctx, func(state rotation.State, attempt string) rotation.State {
		state.Origin = c.before
		return state.Withdraw(attempt, c.doubtful)
	}, why)
}

// end ends the claim without a successor of its token, and says why, also where that
// cannot be saved: a token that was refused is not sent again. Where another process
// has taken the claim over, or has brought the token's successor, how this one fared does
// not matter any more.
func (c *claim) end(ctx context.Context, transition func(state rotation.State, attempt string) rotation.State, why error) error {
	own := c.x.record.State.Attempt.ID
	hasSuccessor := false
	err := c.x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		isOwn := stored.Attempt != nil && stored.Attempt.ID == own
		if hasSuccessor = !stored.RefreshToken.Equal(c.sent); hasSuccessor {
			return stored.Withdraw(own, nil), isOwn
		}
		return transition(stored, own), isOwn
	})
	switch {
	case errors.Is(err, store.ErrSuperseded):
		return c.x.r.pause("another process has taken the claim over")
	case err != nil:
		return advice.WithUnsaved(why, c.x.notSaved(err))
	case hasSuccessor:
		return c.x.r.pause("another process has brought the token's successor")
	}
	return why
}

// withDoubt adds to a failure of a retry that the outcome of the first time is still
// unknown.
func (c *claim) withDoubt(err error) error {
	p := problem.Of(err)
	if c.doubtful == nil || p == nil {
		return err
	}
	return advice.WithDoubt(p, c.doubtful)
}
