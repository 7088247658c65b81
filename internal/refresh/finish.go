// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// FinishIsDue reports whether a state holds a token of which the provider's finish is to
// make the one that is published, so that nothing need be refreshed for it.
//
// What it starts from has not expired, and neither the seed nor what is asked has changed.
func FinishIsDue(job Job, now time.Time) bool {
	state, in := job.Found.Record.State, job.Inputs
	waiting := state.Unfinished
	if waiting == nil || len(in.Provider.Finish) == 0 || job.Found.Seed == rotation.SeedNew || state.Source != in.Source {
		return false
	}
	origin := originOf(in, state)
	return now.Before(waiting.ExpiresAt) && waiting.Origin.AdmitsRefresh(origin) && waiting.Origin.AdmitsLogin(origin)
}

// finish makes the calls that turn what a reply brought into the token that is published.
// That reply is saved by then, with its refresh token, so whatever becomes of these calls
// costs nothing but time: they are made again, alone, as long as what they start from is
// good.
func (x *renewal) finish(ctx context.Context) error {
	state := x.record.State
	waiting := state.Unfinished
	if waiting == nil { // another process was quicker
		return x.r.pause("another process has finished the token")
	}
	discovered := x.origin.Discovered
	x.origin = originOf(x.job.Inputs, state)
	x.origin.Discovered = discovered
	way := wayOfGrant(x.job.Inputs)
	state.Token, state.TokenOrigin = waiting.Token, waiting.Origin
	if err := x.prepared.by(ctx, way, state); err != nil {
		return unfinished(err)
	}
	if !waiting.Origin.AdmitsDiscovered(x.origin.Discovered) {
		return redirected(x.job.Credential, waiting.Origin, x.origin)
	}
	for _, step := range x.job.Inputs.Provider.Finish {
		outcome, err := aside(x, way, &x.result).ask(ctx, step, state)
		if err != nil {
			return unfinished(err)
		}
		state.Token = madeOf(state.Token, outcome)
	}
	err := x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return stored.Finish(state.Token), stored.Unfinished.Is(waiting)
	})
	if err != nil {
		return x.notSaved(err)
	}
	x.result.Token = state.Token
	return nil
}

// madeOf is the token that a finish call has made of another: what its reply does not
// state stays as it was.
func madeOf(before token.Token, outcome provider.Outcome) token.Token {
	made, grant := before, outcome.Grant
	if !grant.AccessToken.IsZero() {
		made.AccessToken, made.Type = grant.AccessToken, grant.Type
	}
	if !grant.ExpiresAt.IsZero() {
		made.Validity = grant.Validity
	}
	made.Outputs = overlaid(before.Outputs, grant.Outputs)
	return made
}

// unfinished adds to what stands in the way of a finish what it does not cost.
func unfinished(err error) error {
	p := problem.Of(err)
	if p == nil {
		return err
	}
	return extended(p, "; the refresh before it went well and is saved, and is not made again for this")
}
