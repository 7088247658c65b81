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
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// proven is the exchange of a token that works more than once, as far as is known: it is
// sent without a claim.
type proven struct {
	x        *renewal
	exchange rotation.Exchange
}

// settle takes in the outcome. As long as the provider does what it did before, nothing is
// spent by the exchange. Once it begins to rotate, the reply holds the only copy of a
// successor.
func (p proven) settle(ctx context.Context, state rotation.State, outcome provider.Outcome, err error) error {
	switch {
	case err != nil:
	case outcome.UnkeptRefreshToken > 0:
		return p.lose(ctx, advice.LostForSize(p.x.job.Credential, outcome.UnkeptRefreshToken))
	case !outcome.Grant.RefreshToken.IsZero():
		return p.saveSuccessor(ctx, outcome)
	case outcome.Reason == v1alpha1.ReauthorizationRequiredReason:
		return p.refused(ctx, outcome)
	}
	return unclaimed(p).takeIn(ctx, state, outcome, err)
}

// saveSuccessor commits the successor of a proven token as one that was claimed. A claim
// that another process has made on the same token meanwhile stays, for that one to end.
func (p proven) saveSuccessor(ctx context.Context, outcome provider.Outcome) error {
	log.FromContext(ctx).Info("the provider has given another refresh token in place of one that it had left as it was")
	if err := p.x.r.Saver.Spool.Put(p.x.key.Namespace, p.x.record.State.Proof.Attempt, p.exchange.Sent, weigh.Kept(p.x.job.Inputs, outcome)); err != nil {
		log.FromContext(ctx).Error(err, "the token that was received is in memory alone until it is saved")
	}
	if err := p.x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return weigh.Following(p.x.job.Inputs, p.x.adopt(stored), outcome, p.exchange), stored.Accepts(p.exchange)
	}); err != nil {
		return p.x.notSaved(err)
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason {
		outcome.Reason = v1alpha1.ProviderUnavailableReason // nothing is unknown: the successor is there
	}
	return p.x.conclude(outcome)
}

// lose says that a proven token was spent after all, and why its successor is not
// kept.
func (p proven) lose(ctx context.Context, why error) error {
	return p.giveUp(ctx, rotation.State.LoseProven, why)
}

// refused takes in that the provider refuses a token which it had accepted before:
// from now on it counts as any other.
func (p proven) refused(ctx context.Context, outcome provider.Outcome) error {
	p.x.refused = p.exchange.Sent
	return p.giveUp(ctx, rotation.State.Disprove, &problem.Problem{
		Reason: outcome.Reason, Message: advice.ProvenRefused(p.x.job.Credential, outcome.Message), RetryAfter: outcome.RetryAfter,
	})
}

// giveUp takes the proof of a token back and says why, also where that cannot be
// saved. Where another process has got a successor of the token, or is about to, nothing
// is said: that is why it was refused, and no person is needed.
func (p proven) giveUp(ctx context.Context, transition func(rotation.State) rotation.State, why error) error {
	err := p.x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return transition(p.x.adopt(stored)), stored.Attempt == nil && p.exchange.Sent.Equal(stored.RefreshToken)
	})
	switch {
	case errors.Is(err, store.ErrSuperseded):
		return p.x.notSaved(err)
	case err != nil:
		return advice.WithUnsaved(why, p.x.notSaved(err))
	}
	return why
}
