// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

const (
	// exchangeTimeout bounds one exchange with a provider.
	exchangeTimeout = 30 * time.Second

	// fenceTimeout is how long after a claim was sent its token may still be
	// sent: far less than rotation.HolderTimeout, so that a process that was
	// frozen in between does not send what another has taken over.
	fenceTimeout = 10 * time.Second

	// contendedPause is how long a credential waits for another that has claimed
	// the same token.
	contendedPause = 2 * time.Second

	// claimTimeout is how long after a claim was sent its exchange must have
	// ended: less than rotation.HolderTimeout too, so that a process which was
	// frozen after the fence finds no time left to send.
	claimTimeout = fenceTimeout + exchangeTimeout
)

// renewal gets one new token: it claims, exchanges and commits.
type renewal struct {
	*visit
	recovery rotation.Recovery
	// doubt is the attempt of unknown outcome whose token is sent again. It is put
	// back where that does not come to be sent.
	doubt *rotation.Attempt
}

// run asks for a token with the refresh token, where there is one, and logs in
// where there is none or where it is no longer accepted.
func (r *renewal) run(ctx context.Context) error {
	state := r.adopt(r.record.State)
	if r.provider.Refresh == nil || state.RefreshToken.IsZero() || r.canLogin() && r.hasExpired(state) {
		return r.login(ctx, state)
	}
	err := r.refresh(ctx, state)
	if !isReason(err, v1alpha1.ReauthorizationRequiredReason, v1alpha1.RotatedTokenLostReason) {
		return err
	}
	if moved, lookErr := r.seedMoved(ctx, state); moved || lookErr != nil {
		return errors.Join(lookErr, &pause{until: r.now, why: "the refresh token has been replaced meanwhile"})
	}
	if r.canLogin() {
		return r.login(ctx, r.adopt(r.record.State))
	}
	return err
}

// hasExpired tells whether the refresh token is known to be of no use any more.
func (r *renewal) hasExpired(state rotation.State) bool {
	expires := state.RefreshTokenExpiresAt
	return state.Lost() || !expires.IsZero() && !r.now.Before(expires)
}

// adopt takes over what the user has changed: the seed, and what is asked.
func (r *renewal) adopt(state rotation.State) rotation.State {
	if r.seed == rotation.SeedNew {
		state = state.Adopt(r.inputs.seed)
	}
	state.Source = r.source
	return state
}

// adopted tells of a new seed, once it is saved.
func (r *renewal) adopted() {
	if r.seed == rotation.SeedNew {
		r.notify(seedAdopted(r.credential))
	}
}

// refresh sends the refresh token. A single-use one is sent only under a claim.
func (r *renewal) refresh(ctx context.Context, state rotation.State) error {
	prepared, err := r.prepare(ctx, r.provider.Refresh, state)
	if err != nil {
		return err
	}
	defer prepared.leave(pace.Unasked, false)
	if !r.singleUse() {
		outcome, err := r.exchange(context.WithoutCancel(ctx), prepared)
		return r.settle(ctx, state, outcome, err)
	}
	return r.refreshOnce(ctx, state, prepared)
}

// refreshOnce sends a single-use token: claim, fence, exchange, commit.
func (r *renewal) refreshOnce(ctx context.Context, state rotation.State, prepared *prepared) error {
	resend := r.recovery == rotation.Resend && r.seed != rotation.SeedNew
	if resend {
		r.doubt = state.Attempt
	}
	// Claim and withdrawal change the state, which brings the next visit at once.
	if again := r.attempts.lastContended(client.ObjectKeyFromObject(r.credential)).Add(contendedPause); r.Clock.Now().Before(again) {
		return &pause{until: again, why: oneLine(rotation.ErrContended)}
	}
	r.InFlight.Add(1) // the process does not end before what comes is saved
	defer r.InFlight.Done()
	sendable, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	attempt := r.attempt(state, resend)
	claimedAt := r.Clock.Now()
	if err := r.claim(ctx, state.Claim(attempt)); err != nil {
		r.attempts.miss(client.ObjectKeyFromObject(r.credential), attempt.ID)
		return r.notSaved(err)
	}
	r.adopted()
	r.attempts.observe(client.ObjectKeyFromObject(r.credential), r.record.State.Attempt)
	if err := r.fence(ctx, claimedAt); err != nil {
		return r.withdraw(ctx, err)
	}
	outcome, err := r.exchange(sendable, prepared)
	return r.settleClaimed(ctx, outcome, err, resend)
}

// claim saves a claim, unless the process is ending. Once it is under way a shutdown
// does not cut it off: a claim that is applied and not heard of would stay, and tell
// the next process of a token that was never sent.
func (r *renewal) claim(ctx context.Context, claimed rotation.State) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fenceTimeout)
	defer cancel()
	return r.States.Save(ctx, r.record, claimed)
}

// fence holds back a token that should not be sent although it is claimed: the
// process is ending or has lost its lease, it was frozen since the claim, or an
// older credential works on the same token.
func (r *renewal) fence(ctx context.Context, claimedAt time.Time) error {
	if r.record.State.Untried() {
		twin, err := r.States.OlderTwin(ctx, r.record)
		key := client.ObjectKeyFromObject(r.credential)
		switch contended := errors.Is(err, rotation.ErrContended); {
		case contended && r.attempts.contend(key, r.Clock.Now()) < rotation.HolderTimeout:
			return &pause{until: r.now.Add(contendedPause), why: oneLine(err)}
		case err != nil && !contended:
			return err
		case twin != nil: // one that is contended for longer has been sent, and nobody knows what came of it
			r.ended = true // a refresh that was asked for is answered by that
			return r.duplicate(twin)
		}
		r.attempts.uncontend(key)
	}
	if ctx.Err() != nil || r.Clock.Now().Sub(claimedAt) > fenceTimeout {
		return &pause{until: r.now, why: "the claim came too late to send"}
	}
	if r.doubt != nil && r.recovery != r.recoveryOf(r.doubt) {
		return &pause{until: r.now, why: "the reuse window has closed meanwhile"}
	}
	return nil
}

// attempt describes the claim. A token that is sent again keeps the time at
// which it was first sent, since that is when its reuse window opened.
func (r *renewal) attempt(state rotation.State, resend bool) rotation.Attempt {
	attempt := rotation.Attempt{ID: uuid.NewString(), Holder: r.Holder, Started: r.now.UTC(), Resend: resend}
	if resend && state.Attempt != nil {
		attempt.Started = state.Attempt.Started
	}
	return attempt
}

// login asks for a token with what the login step needs. Nothing is spent.
func (r *renewal) login(ctx context.Context, state rotation.State) error {
	if !r.canLogin() {
		return r.nothingToStartFrom()
	}
	prepared, err := r.prepare(ctx, r.provider.Login, state)
	if err != nil {
		return err
	}
	defer prepared.leave(pace.Unasked, false)
	outcome, err := r.exchange(context.WithoutCancel(ctx), prepared)
	return r.settle(ctx, state, outcome, err)
}

// nothingToStartFrom says what a credential without a refresh token and without
// a login needs.
func (r *renewal) nothingToStartFrom() error {
	switch {
	case r.inputs.seedMissing != nil:
		return r.inputs.seedMissing
	case r.credential.Spec.LoginSecretRef != nil && r.inputs.loginMissing != nil:
		return r.inputs.loginMissing
	case r.provider.Login != nil:
		return problemf(v1alpha1.InvalidParametersReason,
			"the credential has nothing to start from: set spec.refreshTokenSecretRef, or spec.loginSecretRef with what the provider %s needs to log in", r.provider.Name)
	default:
		return problemf(v1alpha1.InvalidParametersReason,
			"the provider %s needs a refresh token: set spec.refreshTokenSecretRef", r.provider.Name)
	}
}
