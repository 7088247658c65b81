// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// proves reports whether the outcome of a claimed exchange shows that its token works
// more than once. A token that is sent once more shows nothing: the first time may have
// brought a successor, which is lost, while a reuse window still honours the old one.
func (c *claim) proves(outcome provider.Outcome) bool {
	return c.x.job.Inputs.Provider.Rotation.Mode == v1alpha1.Auto && !c.resend &&
		outcome.Reason == v1alpha1.RefreshedReason && outcome.Grant.RefreshToken.IsZero()
}

// settleProven takes in the outcome of an exchange of a proven token, which had no claim.
// As long as the provider does what it did before, nothing is spent by that. Once it
// begins to rotate, the reply holds the only copy of a successor.
func (x *renewal) settleProven(ctx context.Context, state rotation.State, exchange rotation.Exchange, outcome provider.Outcome, err error) error {
	switch {
	case err != nil:
	case outcome.UnkeptRefreshToken > 0:
		return x.loseProven(ctx, exchange, lostForSize(x.job.Credential, outcome.UnkeptRefreshToken))
	case !outcome.Grant.RefreshToken.IsZero():
		return x.saveSuccessor(ctx, exchange, outcome)
	case outcome.Reason == v1alpha1.ReauthorizationRequiredReason:
		return x.refusedProven(ctx, exchange, outcome)
	}
	return x.takeIn(ctx, state, exchange, outcome, err)
}

// saveSuccessor commits the successor of a proven token as one that was claimed. A claim
// that another process has made on the same token meanwhile stays, for that one to end.
func (x *renewal) saveSuccessor(ctx context.Context, exchange rotation.Exchange, outcome provider.Outcome) error {
	log.FromContext(ctx).Info("the provider has given another refresh token in place of one that it had left as it was")
	if err := x.r.Spool.Put(x.key.Namespace, x.record.State.Proof.Attempt, exchange.Sent, kept(x.job.Inputs, outcome)); err != nil {
		log.FromContext(ctx).Error(err, "the token that was received is in memory alone until it is saved")
	}
	if err := x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return following(x.job.Inputs, x.adopt(stored), outcome, exchange), stored.Accepts(exchange)
	}); err != nil {
		return x.notSaved(err)
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason // nothing is unknown: the successor is there
	}
	return x.conclude(outcome)
}

// loseProven says that a proven token was spent after all, and why its successor is not
// kept.
func (x *renewal) loseProven(ctx context.Context, exchange rotation.Exchange, why error) error {
	return x.giveUpProven(ctx, exchange, rotation.State.LoseProven, why)
}

// refusedProven takes in that the provider refuses a token which it had accepted before:
// from now on it counts as any other.
func (x *renewal) refusedProven(ctx context.Context, exchange rotation.Exchange, outcome provider.Outcome) error {
	x.refused = exchange.Sent
	return x.giveUpProven(ctx, exchange, rotation.State.Disprove, &problem.Problem{
		Reason: outcome.Reason, Message: provenRefused(x.job.Credential, outcome.Message), RetryAfter: outcome.RetryAfter,
	})
}

// giveUpProven takes the proof of a token back and says why, also where that cannot be
// saved. Where another process has got a successor of the token, or is about to, nothing
// is said: that is why it was refused, and no person is needed.
func (x *renewal) giveUpProven(ctx context.Context, exchange rotation.Exchange, transition func(rotation.State) rotation.State, why error) error {
	err := x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return transition(x.adopt(stored)), stored.Attempt == nil && exchange.Sent.Equal(stored.RefreshToken)
	})
	switch {
	case errors.Is(err, rotation.ErrSuperseded):
		return x.notSaved(err)
	case err != nil:
		return withUnsaved(why, x.notSaved(err))
	}
	return why
}
