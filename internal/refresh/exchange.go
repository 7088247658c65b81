// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// prepared is a request that passed every check before the claim, with its slot
// among the calls to its host.
type prepared struct {
	*provider.Exchange
	*slot
	request *egress.Request
	// spends is true where the request sends a token that works once.
	spends bool
}

// prepare builds the request of a call and checks that it may be sent, before
// anything is claimed for it.
func (x *renewal) prepare(ctx context.Context, call *provider.Call, state rotation.State) (*prepared, error) {
	in := x.job.Inputs
	state = x.admitted(call, state)
	exchange := call.Begin(in.Request(state.RefreshToken, state.Token.AccessToken, state.Token.Outputs),
		x.Clock.Now().UTC().Truncate(time.Second), uuid.NewString())
	request, err := exchange.Request(ctx)
	if err != nil {
		return nil, problem.New(v1alpha1.InvalidParametersReason, "the request cannot be built: %s", problem.OneLine(err))
	}
	if err := x.mayGo(call, request.URL); err != nil {
		return nil, err
	}
	if err := x.Egress.Check(request); err != nil {
		x.result.Called = true // it counts as an attempt, and backs off
		return nil, unanswered(err)
	}
	slot, err := x.enter(request.URL.Host)
	if err != nil {
		return nil, err
	}
	if limit := in.Provider.RateLimit; limit != nil {
		if wait := x.Rates.Take(in.Provider.Key, pace.Allowance(*limit), x.key, x.Clock.Now()); wait > 0 {
			slot.leave(pace.Unasked, false)
			return nil, &Pause{Until: x.Clock.Now().Add(wait), Why: "the provider's rate limit is reached"}
		}
	}
	return &prepared{Exchange: exchange, slot: slot, request: request, spends: in.SingleUse() && call == in.Provider.Refresh}, nil
}

// exchange sends a request and reads its reply. Its context is one that neither a
// shutdown nor a lost lease ends: once a token is on its way, its successor must be
// awaited.
func (x *renewal) exchange(ctx context.Context, prepared *prepared) (provider.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	started := x.Clock.Now()
	x.result.Called = true
	reply, failure := x.Egress.Do(prepared.request.WithContext(ctx), prepared.spends)
	outcome, err := x.read(prepared, reply, failure, x.Clock.Now().Sub(started))
	prepared.leave(answer(outcome, failure, prepared.spends), outcome.RetryAfter > 0)
	return outcome, err
}

// read works out what came of a request.
func (x *renewal) read(prepared *prepared, reply *egress.Reply, err error, took time.Duration) (provider.Outcome, error) {
	name := x.job.Inputs.Provider.Name
	if err != nil {
		x.Metrics.Exchanged(name, "none", took)
		if reply != nil { // it was cut short, perhaps behind the new refresh token
			if outcome := prepared.Read(provider.Reply(*reply)); !outcome.Grant.RefreshToken.IsZero() {
				return outcome, nil
			}
		}
		return provider.Outcome{}, unanswered(err)
	}
	x.Metrics.Exchanged(name, strconv.Itoa(reply.Status), took)
	outcome := prepared.Read(provider.Reply(*reply))
	outcome.Grant.ExpiresAt = outcome.Grant.ExpiresAt.Truncate(time.Second) // as status carries it
	return outcome, nil
}

// errUnknownOutcome: bytes were sent and no clear answer came.
var errUnknownOutcome = errors.New("no clear answer came")

// unanswered tells apart what cannot have been sent from what may have been.
func unanswered(err error) error {
	switch {
	case errors.Is(err, egress.ErrDenied):
		return problem.New(v1alpha1.EgressDeniedReason, "%s", problem.OneLine(err))
	case errors.Is(err, egress.ErrNotSent):
		return problem.New(v1alpha1.ProviderUnavailableReason, "%s; it is tried again", problem.OneLine(err))
	default:
		return errors.Join(errUnknownOutcome, err)
	}
}
