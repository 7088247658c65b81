// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Call is one request to a provider, from before it is built until its reply has been
// read. It has passed every check before anything is claimed for it, and has a slot among
// the calls to its host.
type Call struct {
	visit *Visit
	// called is where it is noted that the provider was asked.
	called *bool
	// way is the refresh or the login that the call is, or belongs to.
	way *provider.Call
	// Spends is true where the request sends a token that works once.
	Spends bool
	// extends is true where the step may extend the access token that is there.
	extends bool
	current token.Token // in the state
	sent    secret.Text // the refresh token, where the step sends one
	// attempt is the claim under which the request is sent; nil: there is none.
	attempt *rotation.Attempt

	*slot
	step    *provider.Call
	note    Note
	begun   *provider.Exchange
	request *egress.Request
}

// prepare builds the request of a step and checks that it may be sent.
func (c *Call) prepare(ctx context.Context, step *provider.Call, state rotation.State) error {
	c.begin(step, state, Note{Now: c.visit.By.Clock.Now().UTC().Truncate(time.Second), ID: uuid.NewString()})
	if err := c.build(ctx); err != nil {
		return err
	}
	if err := c.enter(c.request.URL.Host); err != nil {
		return err
	}
	return c.takeRate()
}

// begin starts the exchange of a step, at the moment that the note names.
func (c *Call) begin(step *provider.Call, state rotation.State, note Note) {
	in := c.visit.Inputs
	c.extends, c.sent, c.current = step.ExtendsToken(), state.RefreshToken, state.Token
	hidden := []secret.Text{state.RefreshToken, state.PreviousRefreshToken, state.Token.AccessToken, in.Seed}
	known := c.visit.Known // a prepare call is not shown all of it
	hidden = append(hidden, known.RefreshToken, known.PreviousRefreshToken, known.Token.AccessToken)
	c.step, state = step, c.leg().Admitted(state)
	note.Outputs = weigh.Overlaid(note.Outputs, c.visit.prepared.outputs)
	request := in.Request(state.RefreshToken, state.Token.AccessToken, weigh.Overlaid(state.Token.Outputs, note.Outputs))
	request.Hidden = hidden
	c.note, c.begun = note, step.Begin(request, note.Now, note.ID)
}

// build makes the request, and checks whether it may go where it goes.
func (c *Call) build(ctx context.Context) (err error) {
	if c.request, err = c.begun.Request(ctx); err != nil {
		return problem.New(v1alpha1.InvalidParametersReason, "the request cannot be built: %s", problem.OneLine(err))
	}
	if err := c.leg().MayGo(c.request.URL); err != nil {
		return err
	}
	if err := c.visit.By.Egress.Check(c.request); err != nil {
		*c.called = true // it counts as an attempt, and backs off
		return unanswered(err)
	}
	return nil
}

// takeRate takes the call out of the provider's allowance.
func (c *Call) takeRate() error {
	in := c.visit.Inputs
	if limit := in.Provider.RateLimit; limit != nil {
		who := client.ObjectKeyFromObject(c.visit.Credential)
		if wait := c.visit.By.Rates.Take(in.Provider.Key, budget.Allowance(*limit), who, c.visit.By.Clock.Now()); wait > 0 {
			c.leave(pace.Unasked, false)
			return &problem.Pause{Until: c.visit.By.Clock.Now().Add(wait), Why: "the provider's rate limit is reached"}
		}
	}
	return nil
}

// ask makes a call that spends nothing. It fails with a *problem.Problem or a *problem.Pause.
func (c *Call) ask(ctx context.Context, step *provider.Call, state rotation.State) (provider.Outcome, error) {
	if err := c.prepare(ctx, step, state); err != nil {
		return provider.Outcome{}, err
	}
	defer c.leave(pace.Unasked, false)
	outcome, err := c.Exchange(context.WithoutCancel(ctx))
	switch {
	case IsUnknown(err):
		return outcome, problem.New(v1alpha1.ProviderUnavailableReason, "no answer came from the provider: %s; it is tried again", problem.OneLine(err))
	case err != nil:
		return outcome, err
	case outcome.Reason != v1alpha1.RefreshedReason:
		return outcome, &problem.Problem{Reason: outcome.Reason, Message: advice.Of(c.visit.said(), outcome.Reason, outcome.Message), RetryAfter: outcome.RetryAfter}
	}
	return outcome, nil
}

// Exchange sends a request and reads its reply. Its context is one that neither a
// shutdown nor a lost lease ends: once a token is on its way, its successor must be
// awaited.
func (c *Call) Exchange(ctx context.Context) (provider.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, ExchangeTimeout)
	defer cancel()
	outcome, err := c.send(ctx)
	if err == nil && outcome.SendAgain {
		return c.sendAgain(ctx, outcome)
	}
	return outcome, err
}

// send sends the request once.
func (c *Call) send(ctx context.Context) (provider.Outcome, error) {
	if certificate := c.visit.Inputs.Certificate; certificate != nil {
		ctx = egress.WithCertificate(ctx, certificate.Certificate)
	}
	ctx, err := c.carried(ctx)
	if err != nil {
		return provider.Outcome{}, unanswered(err)
	}
	started := c.visit.By.Clock.Now()
	*c.called = true
	reply, failure := c.visit.By.Egress.Do(c.request.WithContext(ctx), c.Spends)
	outcome, err := c.read(reply, failure, c.visit.By.Clock.Now().Sub(started))
	c.leave(weigh.Answer(outcome, failure, c.Spends), outcome.RetryAfter > 0)
	return outcome, err
}

// read works out what came of a request.
func (c *Call) read(reply *egress.Reply, err error, took time.Duration) (provider.Outcome, error) {
	name := c.visit.Inputs.Provider.Name
	if err != nil {
		c.visit.By.Metrics.Exchanged(name, "none", took)
		if reply != nil { // it was cut short, perhaps behind the new refresh token
			outcome := c.judged(c.begun.Read(provider.Reply(*reply)))
			isClear := outcome.Reason != v1alpha1.OutcomeUnknownReason
			hasRefresh := !outcome.Grant.RefreshToken.IsZero() || outcome.UnkeptRefreshToken > 0
			if isClear || hasRefresh || !c.Spends && !outcome.Grant.AccessToken.IsZero() {
				return outcome, nil
			}
		}
		return provider.Outcome{}, c.visit.unanswered(err)
	}
	c.visit.By.Metrics.Exchanged(name, strconv.Itoa(reply.Status), took)
	return c.judged(c.begun.Read(provider.Reply(*reply))), nil
}

// leg is the call as a part of its way.
func (c *Call) leg() route.Leg {
	return route.Leg{Inputs: c.visit.Inputs, Origin: c.visit.Origin, Way: c.way, Step: c.step}
}

// judged is an outcome, weighed with what is known beside it.
func (c *Call) judged(read provider.Outcome) provider.Outcome {
	return weigh.Judge(read, weigh.Seen{
		Status: c.visit.Credential.Status, Before: c.visit.validityOf(read.Grant.AccessToken, c.current), Extends: c.extends, Sent: c.sent,
	})
}

// Under has the call sent under a claim.
func (c *Call) Under(attempt *rotation.Attempt) { c.attempt = attempt }

// Release gives back the slot of a call, where it was not made.
func (c *Call) Release() { c.leave(pace.Unasked, false) }
