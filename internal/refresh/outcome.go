// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// takeIn takes in the outcome of an exchange that spends nothing: that of a login,
// or with a refresh token that works again.
func (x *renewal) takeIn(ctx context.Context, state rotation.State, exchange rotation.Exchange, outcome provider.Outcome, err error) error {
	if isUnknown(err) {
		return problem.New(v1alpha1.ProviderUnavailableReason, "no answer came from the provider: %s; it is tried again", problem.OneLine(err))
	}
	if err != nil {
		return err
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason
	}
	if outcome.Reason == v1alpha1.ReauthorizationRequiredReason && !exchange.Sent.IsZero() && x.job.Inputs.CanLogin() {
		return x.takeRefusal(ctx, exchange, x.conclude(outcome))
	}
	next, _ := x.unclaimed(outcome, exchange)(x.record.State)
	if outcome.Reason == v1alpha1.RefreshedReason && isWorthSaving(x.job.Inputs, x.record.State, next) || isNew(outcome.Grant, state) {
		if err := x.commit(ctx, x.unclaimed(outcome, exchange)); err != nil {
			return x.notSaved(err)
		}
		x.adopted()
	}
	return x.conclude(outcome)
}

// unclaimed is the change that saves an outcome for which nothing was claimed. It takes the
// place of what it was decided on, and of nothing else: a claim that another process has
// made meanwhile is not ended.
func (x *renewal) unclaimed(outcome provider.Outcome, exchange rotation.Exchange) rotation.Change {
	decidedOn := x.record.State.Attempt
	return func(stored rotation.State) (rotation.State, bool) {
		if !sameAttempt(stored.Attempt, decidedOn) {
			return stored, false
		}
		if decidedOn != nil { // of unknown outcome: its token must not be sent any more
			stored = stored.Lose(decidedOn.ID)
		}
		adopted := x.adopt(stored)
		return following(x.job.Inputs, adopted, outcome, exchange), adopted.Accepts(exchange)
	}
}

// takeRefusal saves that a token which works more than once is not accepted any more, and
// says why, also where that cannot be saved.
func (x *renewal) takeRefusal(ctx context.Context, exchange rotation.Exchange, why error) error {
	decidedOn := x.record.State.Attempt
	x.refused = exchange.Sent
	if err := x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		adopted := x.adopt(stored)
		return adopted, sameAttempt(stored.Attempt, decidedOn) && exchange.Sent.Equal(adopted.RefreshToken)
	}); err != nil {
		return withUnsaved(why, x.notSaved(err))
	}
	x.adopted()
	return why
}

func sameAttempt(one, other *rotation.Attempt) bool {
	if one == nil || other == nil {
		return one == other
	}
	return one.ID == other.ID
}

// following is the state that follows an outcome. The access token is kept only where
// it is not simply asked for again.
func following(in *inputs.Inputs, state rotation.State, outcome provider.Outcome, exchange rotation.Exchange) rotation.State {
	next := state.Commit(kept(in, outcome), exchange)
	if !in.KeepsAccessToken(next) {
		next.Token, next.TokenOrigin = token.Token{}, rotation.Origin{} // of which the target then holds the only copy
	}
	return next
}

// kept is what of an outcome is kept.
func kept(in *inputs.Inputs, outcome provider.Outcome) token.Grant {
	grant := outcome.Grant
	if outcome.Reason != v1alpha1.RefreshedReason {
		grant.AccessToken = secret.Text{}
	}
	grant.Unfinished = len(in.Provider.Finish) > 0
	return grant
}

// isNew reports whether a reply holds a refresh token that must not be lost.
func isNew(grant token.Grant, state rotation.State) bool {
	return !grant.RefreshToken.IsZero() && !grant.RefreshToken.Equal(state.RefreshToken)
}

// isWorthSaving reports whether the next state says anything new. An access token that is
// not kept, and what came with it, are not.
func isWorthSaving(in *inputs.Inputs, stored, next rotation.State) bool {
	return in.KeepsAccessToken(next) || !next.RefreshToken.Equal(stored.RefreshToken) ||
		!next.Unfinished.Is(stored.Unfinished) || next.Seed != stored.Seed || next.Origin != stored.Origin || stored.Attempt != nil
}

// conclude is what an outcome means once everything it brought is saved.
func (x *renewal) conclude(outcome provider.Outcome) error {
	x.result.LifetimeIgnored, x.result.Remark = outcome.LifetimeIgnored, outcome.Remark
	if outcome.Reason != v1alpha1.RefreshedReason {
		return &problem.Problem{
			Reason:     outcome.Reason,
			Message:    advice(x.job, outcome.Reason, outcome.Message),
			RetryAfter: outcome.RetryAfter,
		}
	}
	if len(x.job.Inputs.Provider.Finish) == 0 {
		x.result.Token = outcome.Grant.Token
	}
	x.result.RefreshTokenExpiresAt = outcome.Grant.RefreshTokenExpiresAt
	return nil
}
