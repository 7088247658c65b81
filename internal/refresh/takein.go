// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// unclaimed is an exchange that spends nothing: a login, or one with a refresh token that
// works again. There is no claim to end.
type unclaimed struct {
	x        *renewal
	exchange rotation.Exchange
}

// takeIn takes in the outcome of an exchange that spends nothing: that of a login,
// or with a refresh token that works again.
func (u unclaimed) takeIn(ctx context.Context, state rotation.State, outcome provider.Outcome, err error) error {
	if call.IsUnknown(err) {
		return problem.New(v1alpha1.ProviderUnavailableReason, "no answer came from the provider: %s; it is tried again", problem.OneLine(err))
	}
	if err != nil {
		return err
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason
	}
	if outcome.Reason == v1alpha1.ReauthorizationRequiredReason && !u.exchange.Sent.IsZero() && u.x.job.Inputs.CanLogin() {
		return u.takeRefusal(ctx, u.x.conclude(outcome))
	}
	next, _ := u.change(outcome)(u.x.record.State)
	if outcome.Reason == v1alpha1.RefreshedReason && weigh.IsWorthSaving(u.x.job.Inputs, u.x.record.State, next) || weigh.IsNew(outcome.Grant, state) {
		if err := u.x.commit(ctx, u.change(outcome)); err != nil {
			return u.x.notSaved(err)
		}
		u.x.adopted()
	}
	return u.x.conclude(outcome)
}

// change saves the outcome. It takes the place of what it was decided on, and of nothing
// else: a claim that another process has made meanwhile is not ended.
func (u unclaimed) change(outcome provider.Outcome) rotation.Change {
	decidedOn := u.x.record.State.Attempt
	return func(stored rotation.State) (rotation.State, bool) {
		if !sameAttempt(stored.Attempt, decidedOn) {
			return stored, false
		}
		if decidedOn != nil { // of unknown outcome: its token must not be sent any more
			stored = stored.Lose(decidedOn.ID)
		}
		adopted := u.x.adopt(stored)
		return weigh.Following(u.x.job.Inputs, adopted, outcome, u.exchange), adopted.Accepts(u.exchange)
	}
}

// takeRefusal saves that a token which works more than once is not accepted any more, and
// says why, also where that cannot be saved.
func (u unclaimed) takeRefusal(ctx context.Context, why error) error {
	decidedOn := u.x.record.State.Attempt
	u.x.refused = u.exchange.Sent
	if err := u.x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		adopted := u.x.adopt(stored)
		return adopted, sameAttempt(stored.Attempt, decidedOn) && u.exchange.Sent.Equal(adopted.RefreshToken)
	}); err != nil {
		return advice.WithUnsaved(why, u.x.notSaved(err))
	}
	u.x.adopted()
	return why
}

func sameAttempt(one, other *rotation.Attempt) bool {
	if one == nil || other == nil {
		return one == other
	}
	return one.ID == other.ID
}

// conclude is what an outcome means once everything it brought is saved.
func (x *renewal) conclude(outcome provider.Outcome) error {
	x.result.LifetimeIgnored, x.result.Remark = outcome.LifetimeIgnored, outcome.Remark
	if outcome.Reason != v1alpha1.RefreshedReason {
		of := x.job.Case()
		of.Login = x.isLogin
		return &problem.Problem{
			Reason:     outcome.Reason,
			Message:    advice.Of(of, outcome.Reason, outcome.Message),
			RetryAfter: outcome.RetryAfter,
		}
	}
	if len(x.job.Inputs.Provider.Finish) == 0 {
		x.result.Token = outcome.Grant.Token
	}
	x.result.RefreshTokenExpiresAt = outcome.Grant.RefreshTokenExpiresAt
	return nil
}

// commit makes a change of the state durable.
func (x *renewal) commit(ctx context.Context, change rotation.Change) error {
	return x.r.Saver.Commit(ctx, x.job.Credential, x.record, change)
}

// conflictPause is how long a credential waits after another process has changed its
// state: that one is at work on it.
const conflictPause = time.Second

// notSaved turns a failure to save the state into what is to be reported.
func (x *renewal) notSaved(err error) error {
	switch {
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrSuperseded), errors.Is(err, store.ErrGone):
		return &problem.Pause{Until: x.r.Clock.Now().Add(conflictPause), Why: problem.OneLine(err)}
	case errors.Is(err, context.Canceled):
		return x.r.pause("the process is ending")
	}
	return advice.NotSaved(err, x.job.Credential, x.visit.Called)
}
