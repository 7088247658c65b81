// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
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
	origin := route.OriginOf(in, state)
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
	discovered := x.visit.Origin.Discovered
	x.visit.Origin = route.OriginOf(x.job.Inputs, state)
	x.visit.Origin.Discovered = discovered
	way := route.OfGrant(x.job.Inputs)
	state.Token, state.TokenOrigin = waiting.Token, waiting.Origin
	if err := x.visit.Prepare(ctx, way, state); err != nil {
		return advice.Unfinished(err)
	}
	if !waiting.Origin.AdmitsDiscovered(x.visit.Origin.Discovered) {
		return advice.Redirected(x.job.Credential, waiting.Origin, x.visit.Origin)
	}
	for _, step := range x.job.Inputs.Provider.Finish {
		outcome, err := x.visit.Ask(ctx, way, step, state)
		if err != nil {
			return advice.Unfinished(err)
		}
		state.Token = weigh.MadeOf(state.Token, outcome)
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
