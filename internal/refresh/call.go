// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// call is one request to a provider, from before it is built until its reply has been
// read. It has passed every check before anything is claimed for it, and has a slot among
// the calls to its host.
type call struct {
	r      *Refresher
	job    Job
	result *Result // where it is noted that the provider was asked
	origin rotation.Origin
	// way is the refresh or the login that the call is, or belongs to.
	way *provider.Call
	// prepared is what the calls before it gave.
	prepared map[string]any
	// spends is true where the request sends a token that works once.
	spends bool
	// extends is true where the step may extend the access token that is there.
	extends bool
	current token.Token // in the state
	sent    secret.Text // the refresh token, where the step sends one
	// attempt is the claim under which the request is sent; nil: there is none.
	attempt *rotation.Attempt

	*slot
	step    *provider.Call
	note    note
	begun   *provider.Exchange
	request *egress.Request
}

// prepare builds the request of a step and checks that it may be sent.
func (c *call) prepare(ctx context.Context, step *provider.Call, state rotation.State) error {
	c.begin(step, state, note{Now: c.r.Clock.Now().UTC().Truncate(time.Second), ID: uuid.NewString()})
	if err := c.build(ctx); err != nil {
		return err
	}
	if err := c.enter(c.request.URL.Host); err != nil {
		return err
	}
	return c.takeRate()
}

// begin starts the exchange of a step, at the moment that the note names.
func (c *call) begin(step *provider.Call, state rotation.State, note note) {
	in := c.job.Inputs
	c.extends, c.sent, c.current = step.ExtendsToken(), state.RefreshToken, state.Token
	hidden := []secret.Text{state.RefreshToken, state.PreviousRefreshToken, state.Token.AccessToken, in.Seed}
	known := c.job.Found.Record.State // a prepare call is not shown all of it
	hidden = append(hidden, known.RefreshToken, known.PreviousRefreshToken, known.Token.AccessToken)
	c.step, state = step, c.admitted(state)
	note.Outputs = overlaid(note.Outputs, c.prepared)
	request := in.Request(state.RefreshToken, state.Token.AccessToken, overlaid(state.Token.Outputs, note.Outputs))
	request.Hidden = hidden
	c.note, c.begun = note, step.Begin(request, note.Now, note.ID)
}

// build makes the request, and checks whether it may go where it goes.
func (c *call) build(ctx context.Context) (err error) {
	if c.request, err = c.begun.Request(ctx); err != nil {
		return problem.New(v1alpha1.InvalidParametersReason, "the request cannot be built: %s", problem.OneLine(err))
	}
	if err := c.mayGo(c.request.URL); err != nil {
		return err
	}
	if err := c.r.Egress.Check(c.request); err != nil {
		c.result.Called = true // it counts as an attempt, and backs off
		return unanswered(err)
	}
	return nil
}

// takeRate takes the call out of the provider's allowance.
func (c *call) takeRate() error {
	in := c.job.Inputs
	if limit := in.Provider.RateLimit; limit != nil {
		who := client.ObjectKeyFromObject(c.job.Credential)
		if wait := c.r.Rates.Take(in.Provider.Key, pace.Allowance(*limit), who, c.r.Clock.Now()); wait > 0 {
			c.leave(pace.Unasked, false)
			return &Pause{Until: c.r.Clock.Now().Add(wait), Why: "the provider's rate limit is reached"}
		}
	}
	return nil
}

// aside is a call that spends nothing, one of those around a refresh or a login, its way.
// That it was made is noted in asked.
func aside(x *renewal, way *provider.Call, asked *Result) *call {
	return &call{r: x.r, job: x.job, result: asked, origin: x.origin, way: way, prepared: x.prepared.outputs}
}

// ask makes such a call. It fails with a *problem.Problem or a *Pause.
func (c *call) ask(ctx context.Context, step *provider.Call, state rotation.State) (provider.Outcome, error) {
	if err := c.prepare(ctx, step, state); err != nil {
		return provider.Outcome{}, err
	}
	defer c.leave(pace.Unasked, false)
	outcome, err := c.exchange(context.WithoutCancel(ctx))
	switch {
	case isUnknown(err):
		return outcome, problem.New(v1alpha1.ProviderUnavailableReason, "no answer came from the provider: %s; it is tried again", problem.OneLine(err))
	case err != nil:
		return outcome, err
	case outcome.Reason != v1alpha1.RefreshedReason:
		return outcome, &problem.Problem{Reason: outcome.Reason, Message: advice(c.job, outcome.Reason, outcome.Message), RetryAfter: outcome.RetryAfter}
	}
	return outcome, nil
}

// exchange sends a request and reads its reply. Its context is one that neither a
// shutdown nor a lost lease ends: once a token is on its way, its successor must be
// awaited.
func (c *call) exchange(ctx context.Context) (provider.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	outcome, err := c.send(ctx)
	if err == nil && outcome.SendAgain {
		return c.sendAgain(ctx, outcome)
	}
	return outcome, err
}

// send sends the request once.
func (c *call) send(ctx context.Context) (provider.Outcome, error) {
	if certificate := c.job.Inputs.Certificate; certificate != nil {
		ctx = egress.WithCertificate(ctx, certificate.Certificate)
	}
	ctx, err := c.carried(ctx)
	if err != nil {
		return provider.Outcome{}, unanswered(err)
	}
	started := c.r.Clock.Now()
	c.result.Called = true
	reply, failure := c.r.Egress.Do(c.request.WithContext(ctx), c.spends)
	outcome, err := c.read(reply, failure, c.r.Clock.Now().Sub(started))
	c.leave(answer(outcome, failure, c.spends), outcome.RetryAfter > 0)
	return outcome, err
}

// read works out what came of a request.
func (c *call) read(reply *egress.Reply, err error, took time.Duration) (provider.Outcome, error) {
	name := c.job.Inputs.Provider.Name
	if err != nil {
		c.r.Metrics.Exchanged(name, "none", took)
		if reply != nil { // it was cut short, perhaps behind the new refresh token
			outcome := c.judge(c.begun.Read(provider.Reply(*reply)))
			isClear := outcome.Reason != v1alpha1.OutcomeUnknownReason
			hasRefresh := !outcome.Grant.RefreshToken.IsZero() || outcome.UnkeptRefreshToken > 0
			if isClear || hasRefresh || !c.spends && !outcome.Grant.AccessToken.IsZero() {
				return outcome, nil
			}
		}
		return provider.Outcome{}, c.unanswered(err)
	}
	c.r.Metrics.Exchanged(name, strconv.Itoa(reply.Status), took)
	return c.judge(c.begun.Read(provider.Reply(*reply))), nil
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

// isUnknown reports whether bytes were sent and no clear answer came.
func isUnknown(err error) bool { return errors.Is(err, errUnknownOutcome) }
