// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
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
	// frozen after the fence finds no time left to connect.
	claimTimeout = fenceTimeout + exchangeTimeout
)

// renewal gets one new token: it claims, exchanges and commits.
type renewal struct {
	*visit
	recovery rotation.Recovery
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
	if !r.singleUse() {
		outcome, err := r.exchange(ctx, prepared)
		return r.settle(ctx, state, outcome, err)
	}
	return r.refreshOnce(ctx, state, prepared)
}

// refreshOnce sends a single-use token: claim, fence, exchange, commit.
func (r *renewal) refreshOnce(ctx context.Context, state rotation.State, prepared *prepared) error {
	resend := r.recovery == rotation.Resend && r.seed != rotation.SeedNew
	attempt := r.attempt(state, resend)
	claimedAt := r.Clock.Now()
	if err := r.States.Save(ctx, r.record, state.Claim(attempt)); err != nil {
		return r.notSaved(err)
	}
	r.adopted()
	r.attempts.observe(client.ObjectKeyFromObject(r.credential), r.record.State.Attempt)
	if err := r.fence(ctx, claimedAt); err != nil {
		return errors.Join(r.withdraw(ctx), err)
	}
	r.InFlight.Add(1) // the process does not end before what comes is saved
	defer r.InFlight.Done()
	r.attempts.send(attempt.ID)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), claimedAt.Add(claimTimeout))
	defer cancel()
	outcome, err := r.exchange(ctx, prepared)
	return r.settleClaimed(ctx, outcome, err, resend)
}

// fence holds back a token that should not be sent although it is claimed: the
// process is ending or has lost its lease, it was frozen since the claim, or an
// older credential works on the same token.
func (r *renewal) fence(ctx context.Context, claimedAt time.Time) error {
	if r.record.State.Untried() {
		twin, err := r.States.OlderTwin(ctx, r.record)
		if errors.Is(err, rotation.ErrContended) {
			return &pause{until: r.now.Add(contendedPause), why: oneLine(err)}
		}
		if err != nil {
			return err
		}
		if twin != nil {
			return r.duplicate(twin)
		}
	}
	if ctx.Err() != nil || r.Clock.Now().Sub(claimedAt) > fenceTimeout {
		return &pause{until: r.now, why: "the claim came too late to send"}
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
	outcome, err := r.exchange(ctx, prepared)
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

// prepared is a request that nothing stands in the way of.
type prepared struct {
	*provider.Exchange
	request *egress.Request
}

// prepare builds the request of a call and checks that it may be sent, before
// anything is claimed for it.
func (r *renewal) prepare(ctx context.Context, call *provider.Call, state rotation.State) (*prepared, error) {
	inputs := r.inputs.request(state.RefreshToken, state.AccessToken, r.parameters, state.Outputs)
	exchange := call.Begin(inputs, r.Clock.Now().UTC().Truncate(time.Second), uuid.NewString())
	request, err := exchange.Request(ctx)
	if err != nil {
		return nil, problemf(v1alpha1.InvalidParametersReason, "the request cannot be built: %s", oneLine(err))
	}
	if err := r.Egress.Check(request); err != nil {
		return nil, r.unanswered(err)
	}
	if wait := r.Limits.reserve(r.provider, r.Clock.Now()); wait > 0 {
		return nil, &pause{until: r.Clock.Now().Add(wait), why: "the provider's rate limit is reached"}
	}
	return &prepared{Exchange: exchange, request: request}, nil
}

// exchange sends a request and reads its reply. Neither a shutdown nor a lost
// lease cuts it off: once a token is on its way, its successor must be awaited.
func (r *renewal) exchange(ctx context.Context, prepared *prepared) (provider.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTimeout)
	defer cancel()
	started := r.Clock.Now()
	r.ended = true
	reply, err := r.Egress.Do(prepared.request.WithContext(ctx), r.singleUse())
	took := r.Clock.Now().Sub(started)
	if err != nil {
		r.Metrics.exchanged(r.provider.Name, "none", took)
		return provider.Outcome{}, r.unanswered(err)
	}
	r.Metrics.exchanged(r.provider.Name, strconv.Itoa(reply.Status), took)
	outcome := prepared.Read(provider.Reply(*reply))
	outcome.Tokens.ExpiresAt = outcome.Tokens.ExpiresAt.Truncate(time.Second) // as status carries it
	return outcome, nil
}

// errUnknownOutcome: bytes were sent and no clear answer came.
var errUnknownOutcome = errors.New("the outcome is unknown")

// unanswered tells apart what cannot have been sent from what may have been.
func (r *renewal) unanswered(err error) error {
	switch {
	case errors.Is(err, egress.ErrDenied):
		return &problem{reason: v1alpha1.EgressDeniedReason, message: oneLine(err), attempted: true}
	case errors.Is(err, egress.ErrNotSent):
		return &problem{reason: v1alpha1.ProviderUnavailableReason, message: "the provider could not be reached: " + oneLine(err), attempted: true}
	default:
		return errors.Join(errUnknownOutcome, err)
	}
}

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
		return &pause{until: r.now, why: "the outcome of the exchange is unknown"}
	case err != nil:
		return errors.Join(r.withdraw(ctx), err)
	case outcome.Reason != v1alpha1.RefreshedReason && outcome.Tokens.RefreshToken.IsZero():
		if resent && outcome.Reason == v1alpha1.ReauthorizationRequiredReason {
			lost := rotatedTokenLost()
			lost.attempted = true
			return errors.Join(r.end(ctx, rotation.State.Lose), lost)
		}
		return errors.Join(r.withdraw(ctx), r.conclusion(outcome))
	}
	sent := r.record.State.RefreshToken
	commit := func(stored rotation.State) (rotation.State, bool) {
		return r.next(stored, outcome), stored.RefreshToken.Equal(sent)
	}
	if err := r.commit(ctx, commit); err != nil {
		return r.notSaved(err)
	}
	return r.conclusion(outcome)
}

// withdraw takes the claim back after nothing was spent. It is as stubborn as a
// commit: a claim that stays would look like a token that was sent.
func (r *renewal) withdraw(ctx context.Context) error { return r.end(ctx, rotation.State.Withdraw) }

// end ends the claim without a successor of its token.
func (r *renewal) end(ctx context.Context, transition func(rotation.State) rotation.State) error {
	own := r.record.State.Attempt.ID
	err := r.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return transition(stored), stored.Attempt != nil && stored.Attempt.ID == own
	})
	if errors.Is(err, rotation.ErrSuperseded) {
		return nil // somebody else has taken the claim over
	}
	return err
}
