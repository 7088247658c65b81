// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// takeIn takes in the outcome of an exchange that spends nothing: that of a login,
// or with a refresh token that works again.
func (x *renewal) takeIn(ctx context.Context, state rotation.State, sent secret.Text, outcome provider.Outcome, err error) error {
	if isUnknown(err) {
		return problem.New(v1alpha1.ProviderUnavailableReason, "no answer came from the provider: %s; it is tried again", problem.OneLine(err))
	}
	if err != nil {
		return err
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason
	}
	origin := x.origin
	if !sent.IsZero() {
		origin = state.Origin
	}
	save := x.unclaimed(outcome, rotation.Exchange{Sent: sent, Origin: origin})
	next, _ := save(x.record.State)
	if outcome.Reason == v1alpha1.RefreshedReason && x.isWorthSaving(next) || isNew(outcome.Grant, state) {
		if err := x.commit(ctx, save); err != nil {
			return x.notSaved(err)
		}
		x.adopted()
	}
	return x.conclude(outcome)
}

// unclaimed is the change that saves an outcome for which nothing was claimed. It takes the place of what it was
// decided on, and of nothing else: a claim that another process has made meanwhile is
// not ended.
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
		return x.next(adopted, outcome, exchange), adopted.Accepts(exchange)
	}
}

func sameAttempt(one, other *rotation.Attempt) bool {
	if one == nil || other == nil {
		return one == other
	}
	return one.ID == other.ID
}

// takeInClaimed takes in the outcome of an exchange under a claim.
func (x *renewal) takeInClaimed(ctx context.Context, outcome provider.Outcome, err error, resent bool) error {
	switch {
	case isUnknown(err), err == nil && outcome.Reason == v1alpha1.OutcomeUnknownReason && outcome.Grant.RefreshToken.IsZero():
		return x.unknown(ctx, outcome, err) // the claim stays
	case err != nil: // nothing was sent
		return x.withdrawUnsent(ctx, x.withDoubt(err))
	case outcome.Reason != v1alpha1.RefreshedReason && outcome.Grant.RefreshToken.IsZero():
		return x.refused(ctx, outcome, resent)
	}
	if err := x.save(ctx, outcome); err != nil {
		return x.notSaved(err)
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason // nothing is unknown: the successor is there
	}
	return x.conclude(outcome)
}

// unknown leaves the claim, which says that the token may be spent, and says how to
// go on.
func (x *renewal) unknown(ctx context.Context, outcome provider.Outcome, err error) error {
	words := outcome.Message
	if err != nil {
		words = problem.OneLine(err)
	}
	log.FromContext(ctx).Info("no clear answer came to a single-use token", "answer", words)
	if x.recoveryOf(x.job.Credential, x.job.Inputs, x.record.State) == rotation.Resend {
		return &Pause{Until: x.Clock.Now(), Why: "the token is sent once more"}
	}
	return Unknown(x.job.Credential, x.record.State.Attempt, words)
}

// refused takes in the provider's word that nothing was spent.
func (x *renewal) refused(ctx context.Context, outcome provider.Outcome, resent bool) error {
	if resent && outcome.Reason == v1alpha1.ReauthorizationRequiredReason {
		return x.end(ctx, rotation.State.Lose, Lost(x.job.Credential))
	}
	if resent {
		return x.withDoubt(x.conclude(outcome)) // this one was not spent, and nothing says so of the first: the claim stays
	}
	return x.withdraw(ctx, x.conclude(outcome))
}

// next is the state after an outcome. The access token is kept only where it is
// not simply asked for again.
func (x *renewal) next(state rotation.State, outcome provider.Outcome, exchange rotation.Exchange) rotation.State {
	next := state.Commit(x.grant(outcome), exchange)
	if !x.job.Inputs.KeepsAccessToken() {
		next = next.WithoutAccessToken()
	}
	return next
}

// grant is what of an outcome is kept.
func (x *renewal) grant(outcome provider.Outcome) token.Grant {
	grant := outcome.Grant
	if outcome.Reason != v1alpha1.RefreshedReason || !x.job.Inputs.KeepsAccessToken() {
		grant.AccessToken = secret.Text{}
	}
	return grant
}

// isNew reports whether a reply holds a refresh token that must not be lost.
func isNew(grant token.Grant, state rotation.State) bool {
	return !grant.RefreshToken.IsZero() && !grant.RefreshToken.Equal(state.RefreshToken)
}

// isWorthSaving reports whether the state says anything new. An access token that is
// not kept, and what came with it, are not.
func (x *renewal) isWorthSaving(next rotation.State) bool {
	stored := x.record.State
	return x.job.Inputs.Provider.RemembersReply || !next.RefreshToken.Equal(stored.RefreshToken) ||
		next.Seed != stored.Seed || next.Origin != stored.Origin || stored.Attempt != nil
}

// conclude is what an outcome means once everything it brought is saved.
func (x *renewal) conclude(outcome provider.Outcome) error {
	x.result.LifetimeIgnored = outcome.LifetimeIgnored
	if outcome.Reason != v1alpha1.RefreshedReason {
		return &problem.Problem{
			Reason:     outcome.Reason,
			Message:    advice(x.job, outcome.Reason, outcome.Message),
			RetryAfter: outcome.RetryAfter,
		}
	}
	x.result.Token = outcome.Grant.Token
	x.result.RefreshTokenExpiresAt = outcome.Grant.RefreshTokenExpiresAt
	return nil
}

// withDoubt adds to a failure of a retry that the outcome of the first time is still
// unknown.
func (x *renewal) withDoubt(err error) error {
	p := problem.Of(err)
	if x.doubtful == nil || p == nil {
		return err
	}
	return extended(p, "; whether the refresh token was spent when it was sent at "+rfc3339(x.doubtful.Started)+" is still unknown")
}

// extended is a problem with more to say.
func extended(p *problem.Problem, more string) *problem.Problem {
	longer := *p
	longer.Message += more
	return &longer
}
