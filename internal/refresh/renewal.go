// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// renewal is one refresh under way.
type renewal struct {
	*Refresher
	job    Job
	key    types.NamespacedName
	record *rotation.Record // as stored now
	result Result
	// origin is where the provider's calls go.
	origin rotation.Origin
	// unbound is true where the refresh token was bound to no origin before the claim.
	unbound bool
	// doubtful is the attempt of unknown outcome whose token is sent again. It is
	// put back where that does not come to be sent.
	doubtful *rotation.Attempt
}

// Refresh asks for a token with the refresh token, where there is one, and logs in
// where there is none or where it is no longer accepted. It fails with a
// *problem.Problem or a *Pause.
func (r *Refresher) Refresh(ctx context.Context, job Job) (Result, error) {
	record := *job.Found.Record
	x := &renewal{Refresher: r, job: job, key: client.ObjectKeyFromObject(job.Credential), record: &record}
	err := x.run(ctx)
	x.result.Record = x.record
	return x.result, err
}

func (x *renewal) run(ctx context.Context) error {
	state, in := x.adopt(x.record.State), x.job.Inputs
	x.origin = originOf(in, state)
	if in.Provider.Refresh == nil || state.RefreshToken.IsZero() || in.CanLogin() && x.isUseless(state) {
		return x.login(ctx, state)
	}
	err := x.refresh(ctx, state)
	if !problem.Is(err, v1alpha1.ReauthorizationRequiredReason, v1alpha1.RotatedTokenLostReason, v1alpha1.OutcomeUnknownReason) {
		return err
	}
	if x.unsaved.of(x.key) != nil {
		return err // what a login brings cannot be saved either
	}
	// Where the look itself fails, the outcome stays: the seed's next change is seen.
	if moved, lookErr := x.seedMoved(ctx, state); lookErr == nil && moved {
		return &Pause{Until: x.Clock.Now(), Why: "the refresh token has been replaced meanwhile"}
	}
	if in.CanLogin() {
		return x.login(ctx, x.adopt(x.record.State))
	}
	return err
}

// isUseless reports whether the refresh token is known not to be accepted any more,
// or may not be sent.
func (x *renewal) isUseless(state rotation.State) bool {
	expires := state.RefreshTokenExpiresAt
	return state.Lost() || state.HasMoved(x.origin) || !expires.IsZero() && !x.Clock.Now().Before(expires) ||
		x.job.Found.Recovery == rotation.Unknown && x.job.Found.Seed != rotation.SeedNew
}

// adopt takes over what the user has changed: the seed, and what is asked.
func (x *renewal) adopt(state rotation.State) rotation.State {
	if x.job.Found.Seed == rotation.SeedNew {
		state = state.Adopt(x.job.Inputs.Seed)
	}
	state.Source = x.job.Inputs.Source
	return state
}

// refresh sends the refresh token. A single-use one is sent only under a claim.
func (x *renewal) refresh(ctx context.Context, state rotation.State) error {
	if state.HasMoved(x.origin) {
		return Moved(x.job.Credential, x.job.Inputs, state)
	}
	x.unbound = state.Origin.IsZero()
	state = state.Bind(x.origin)
	prepared, err := x.prepare(ctx, x.job.Inputs.Provider.Refresh, state)
	if err != nil {
		return err
	}
	defer prepared.leave(pace.Unasked, false)
	if x.job.Inputs.SingleUse() {
		return x.refreshOnce(ctx, state, prepared)
	}
	outcome, err := x.exchange(context.WithoutCancel(ctx), prepared)
	return x.takeIn(ctx, state, state.RefreshToken, outcome, err)
}

// login asks for a token with what the login step needs. Nothing is spent.
func (x *renewal) login(ctx context.Context, state rotation.State) error {
	if !x.job.Inputs.CanLogin() {
		return x.nothingToStartFrom()
	}
	prepared, err := x.prepare(ctx, x.job.Inputs.Provider.Login, state)
	if err != nil {
		return err
	}
	defer prepared.leave(pace.Unasked, false)
	outcome, err := x.exchange(context.WithoutCancel(ctx), prepared)
	return x.takeIn(ctx, state, secret.Text{}, outcome, err)
}

// nothingToStartFrom says what a credential without a refresh token and without
// a login needs.
func (x *renewal) nothingToStartFrom() error {
	in, spec := x.job.Inputs, x.job.Credential.Spec
	switch {
	case in.SeedMissing != nil:
		return in.SeedMissing
	case spec.LoginSecretRef != nil && in.LoginMissing != nil:
		return in.LoginMissing
	case in.Provider.Login != nil:
		return problem.New(v1alpha1.InvalidParametersReason,
			"the credential has nothing to start from: set spec.refreshTokenSecretRef, or spec.loginSecretRef with what the provider %s needs to log in", in.Provider.Name)
	default:
		return problem.New(v1alpha1.InvalidParametersReason,
			"the provider %s needs a refresh token: set spec.refreshTokenSecretRef", in.Provider.Name)
	}
}

// seedMoved reports whether the user has replaced the refresh token since it was
// read.
func (x *renewal) seedMoved(ctx context.Context, state rotation.State) (bool, error) {
	if x.job.Credential.Spec.RefreshTokenSecretRef == nil {
		return false, nil
	}
	live, err := x.Inputs.LiveSeed(ctx, x.job.Credential)
	if err != nil || live.IsZero() {
		return false, err
	}
	return !live.Equal(x.job.Inputs.Seed) && x.record.State.Judge(live) == rotation.SeedNew && !live.Equal(state.RefreshToken), nil
}

// isUnknown reports whether bytes were sent and no clear answer came.
func isUnknown(err error) bool { return errors.Is(err, errUnknownOutcome) }
