// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// prepared is a request that nothing stands in the way of, with its place among
// the calls to its host.
type prepared struct {
	*provider.Exchange
	*place
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
	place, err := r.enter(request.URL.Host)
	if err != nil {
		return nil, err
	}
	if limit := r.provider.RateLimit; limit != nil {
		if wait := r.Rates.Take(r.provider.key, pace.Allowance(*limit), place.who, r.Clock.Now()); wait > 0 {
			place.leave(pace.Unasked, false)
			return nil, &pause{until: r.Clock.Now().Add(wait), why: "the provider's rate limit is reached"}
		}
	}
	return &prepared{Exchange: exchange, place: place, request: request}, nil
}

// exchange sends a request and reads its reply. Its context is one that neither a
// shutdown nor a lost lease ends: once a token is on its way, its successor must be
// awaited.
func (r *renewal) exchange(ctx context.Context, prepared *prepared) (provider.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	started := r.Clock.Now()
	r.ended = true
	reply, err := r.Egress.Do(prepared.request.WithContext(ctx), r.singleUse())
	outcome, err := r.read(prepared, reply, err, r.Clock.Now().Sub(started))
	prepared.leave(r.answer(outcome, err))
	return outcome, err
}

// read tells what came of a request.
func (r *renewal) read(prepared *prepared, reply *egress.Reply, err error, took time.Duration) (provider.Outcome, error) {
	if err != nil {
		r.Metrics.exchanged(r.provider.Name, "none", took)
		if reply != nil { // it was cut short, perhaps behind the new refresh token
			if outcome := prepared.Read(provider.Reply(*reply)); !outcome.Tokens.RefreshToken.IsZero() {
				return outcome, nil
			}
		}
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
