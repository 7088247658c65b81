// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// renewal is one refresh under way, and what has come of it so far. What it sends is a
// call; a token that works once is sent under a claim.
type renewal struct {
	r      *Refresher
	job    Job
	key    types.NamespacedName
	record *store.Record // as stored now
	result Result
	// isLogin is true once a login is what the provider is asked for.
	isLogin bool
	// refused is the token that the provider has just refused; zero: none.
	refused secret.Text
	visit   *call.Visit
}

// renewalOf a credential, on its state as it is stored.
func (r *Refresher) renewalOf(job Job, record *store.Record) *renewal {
	return &renewal{r: r, job: job, key: client.ObjectKeyFromObject(job.Credential), record: record, visit: &call.Visit{
		By: r.Calls, Credential: job.Credential, Inputs: job.Inputs, Known: job.Found.Record.State, Published: job.Published,
	}}
}

// Refresh asks for a token with the refresh token, where there is one, and logs in
// where there is none or where it is no longer accepted. It fails with a
// *problem.Problem or a *Pause.
func (r *Refresher) Refresh(ctx context.Context, job Job) (Result, error) {
	record := *job.Found.Record
	complete, err := r.Inputs.ForCall(ctx, job.Credential, job.Inputs)
	if err != nil {
		return Result{Record: &record}, err
	}
	job.Inputs = complete
	x := r.renewalOf(job, &record)
	// Where an earlier reconcile, or another process, did not get through the calls that
	// finish a token, those alone are made.
	if !FinishIsDue(job, r.Clock.Now()) {
		err = x.run(ctx)
	}
	if err == nil && len(complete.Provider.Finish) > 0 {
		err = x.finish(ctx)
	}
	x.visit.Settle(err)
	x.result.Refused = x.refused.Digest()
	x.result.Record, x.result.Called = x.record, x.visit.Called
	return x.result, err
}

func (x *renewal) run(ctx context.Context) error {
	state, in := x.adopt(x.record.State), x.job.Inputs
	x.visit.Origin = route.OriginOf(in, state)
	x.rememberRefusal(state)
	if in.Provider.Refresh == nil || state.RefreshToken.IsZero() ||
		in.CanLogin() && (state.HasMoved(x.visit.Origin) || isUseless(state, x.job.Found, x.r.Clock.Now()) || !x.refused.IsZero()) {
		return x.login(ctx, state)
	}
	err := x.refresh(ctx, state)
	if !problem.Is(err, v1alpha1.ReauthorizationRequiredReason, v1alpha1.RotatedTokenLostReason, v1alpha1.OutcomeUnknownReason) {
		return err
	}
	if x.r.Saver.Waiting(x.key) != nil {
		return err // what a login brings cannot be saved either
	}
	// Where the look itself fails, the outcome stays: the seed's next change is seen.
	if moved, lookErr := x.seedMoved(ctx, state); lookErr == nil && moved {
		return x.r.pause("the refresh token has been replaced meanwhile")
	}
	if in.CanLogin() {
		return x.login(ctx, x.adopt(x.record.State))
	}
	return err
}

// rememberRefusal takes up from the status that the provider has refused the token that would
// be sent: where a login was to take its place, and nothing could be saved.
func (x *renewal) rememberRefusal(state rotation.State) {
	last := x.job.Credential.Status.LastAttempt
	if x.job.Inputs.CanLogin() && last != nil && last.RefusedToken != "" && x.r.Saver.States.IsToken(x.job.Credential, last.RefusedToken, state.RefreshToken.Digest()) {
		x.refused = state.RefreshToken
	}
}

// isUseless reports whether the refresh token is known not to be accepted any more,
// or may not be sent.
func isUseless(state rotation.State, found Found, now time.Time) bool {
	expires := state.RefreshTokenExpiresAt
	return state.Lost() || !expires.IsZero() && !now.Before(expires) ||
		found.Recovery == recovery.Unknown && found.Seed != rotation.SeedNew || state.IsRefused()
}

// refuse notes that the provider does not accept the live token any more, where that is so
// and there is a login: the token is not sent again while that takes its place. Where there
// is none, the status remembers it.
func (x *renewal) refuse(state rotation.State) rotation.State {
	if !x.job.Inputs.CanLogin() || x.refused.IsZero() || !x.refused.Equal(state.RefreshToken) {
		return state
	}
	return state.Refuse()
}

// adopt takes over what the user has changed, the seed and what is asked, what the provider
// has just refused, and what goes on in the status alone while a proven token leaves the
// state unwritten: the count of tokens, and an end of the refresh token that moves.
func (x *renewal) adopt(state rotation.State) rotation.State {
	if x.job.Found.Seed == rotation.SeedNew {
		state = state.Adopt(x.job.Inputs.Seed)
	}
	state, state.Source = x.refuse(state), x.job.Inputs.Source
	known := &x.job.Credential.Status
	state.Sequence = max(state.Sequence, known.RefreshCount)
	if expires := known.RefreshTokenExpirationTime; expires != nil && state.Proven() && expires.After(state.RefreshTokenExpiresAt) {
		state.RefreshTokenExpiresAt = expires.Time
	}
	return state
}

// adopted notes that a new seed is in use, once that is saved: it is not adopted a
// second time, which would take it for unspent after it was sent.
func (x *renewal) adopted() {
	if x.job.Found.Seed == rotation.SeedNew {
		x.job.Found.Seed, x.result.SeedAdopted = rotation.SeedUnchanged, true
	}
}

// refresh sends the refresh token. A single-use one is sent only under a claim.
func (x *renewal) refresh(ctx context.Context, state rotation.State) error {
	if state.HasMoved(x.visit.Origin) {
		return advice.Moved(x.job.Credential, state.Origin, route.OriginOf(x.job.Inputs, state))
	}
	if err := x.visit.Prepare(ctx, x.job.Inputs.Provider.Refresh, state); err != nil {
		return err
	}
	if !state.Origin.AdmitsDiscovered(x.visit.Origin.Discovered) {
		return advice.Redirected(x.job.Credential, state.Origin, x.visit.Origin)
	}
	call, err := x.visit.Ready(ctx, x.job.Inputs.Provider.Refresh, state, x.job.Inputs.SingleUse(state))
	if err != nil {
		return err
	}
	defer call.Release()
	if call.Spends {
		return x.refreshOnce(ctx, state, call)
	}
	outcome, err := call.Exchange(context.WithoutCancel(ctx))
	exchange := rotation.Exchange{Sent: state.RefreshToken, Origin: state.Origin.Or(x.visit.Origin)}
	if x.job.Inputs.Provider.Rotation.Mode == v1alpha1.Auto {
		return proven{x, exchange}.settle(ctx, state, outcome, err)
	}
	return unclaimed{x, exchange}.takeIn(ctx, state, outcome, err)
}

// refreshOnce sends a single-use token: claim, fence, exchange, commit.
func (x *renewal) refreshOnce(ctx context.Context, state rotation.State, call *call.Call) error {
	if again := x.r.Saver.Attempts.Contention.Last(x.key).Add(contendedPause); x.r.Clock.Now().Before(again) {
		return &problem.Pause{Until: again, Why: problem.OneLine(twins.ErrContended)} // its end brings the next reconcile at once
	}
	if err := x.r.Saver.Backlogged(x.job.Credential); err != nil {
		return err
	}
	x.r.InFlight.Add(1) // the process does not end before what comes is saved
	defer x.r.InFlight.Done()
	sendable, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	claim, err := x.claim(ctx, state)
	if err != nil {
		return err
	}
	if claim.wentBack(ctx) {
		return claim.hold(ctx)
	}
	if err := (fence{claim}).check(ctx); err != nil {
		return claim.withdrawUnsent(ctx, err)
	}
	call.Under(x.record.State.Attempt)
	outcome, err := call.Exchange(sendable)
	return claim.settle(ctx, outcome, err)
}

// login asks for a token with what the login step needs. Nothing is spent.
func (x *renewal) login(ctx context.Context, state rotation.State) error {
	if !x.job.Inputs.CanLogin() {
		return advice.NothingToStartFrom(x.job.Case())
	}
	x.isLogin = true
	if err := x.visit.Prepare(ctx, x.job.Inputs.Provider.Login, state); err != nil {
		return err
	}
	call, err := x.visit.Ready(ctx, x.job.Inputs.Provider.Login, state, false)
	if err != nil {
		return err
	}
	defer call.Release()
	outcome, err := call.Exchange(context.WithoutCancel(ctx))
	return unclaimed{x, rotation.Exchange{Origin: x.visit.Origin}}.takeIn(ctx, state, outcome, err)
}

// seedMoved reports whether the user has replaced the refresh token since it was
// read.
func (x *renewal) seedMoved(ctx context.Context, state rotation.State) (bool, error) {
	if x.job.Credential.Spec.RefreshTokenSecretRef == nil {
		return false, nil
	}
	live, err := x.r.Inputs.LiveSeed(ctx, x.job.Credential)
	if err != nil || live.IsZero() {
		return false, err
	}
	return !live.Equal(x.job.Inputs.Seed) && x.record.State.Judge(live) == rotation.SeedNew && !live.Equal(state.RefreshToken), nil
}
