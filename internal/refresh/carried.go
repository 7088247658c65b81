// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// note is what a reply is read with that only who made the request knows. It goes with the
// request and comes back with the reply.
type note struct {
	// Now and ID are the values of now and uuid() throughout the exchange.
	Now time.Time
	ID  string
	// Outputs are what calls before it gave.
	Outputs map[string]any
	// Again marks the second request under one claim.
	Again bool
}

// Keys of a note.
const (
	noteNow     = "now"
	noteID      = "id"
	noteOutputs = "outputs"
)

func (n note) encode() ([]byte, error) {
	return jsontext.Encode(map[string]any{noteNow: n.Now.Format(time.RFC3339Nano), noteID: n.ID, noteOutputs: n.Outputs})
}

// noteOf a reply. What is missing in it is as if nothing had been known; the time is that
// of the claim then.
func noteOf(encoded []byte, claimed time.Time) note {
	n := note{Now: claimed.UTC().Truncate(time.Second)}
	decoded, _, err := jsontext.Decode(encoded)
	fields, ok := decoded.(map[string]any)
	if err != nil || !ok {
		return n
	}
	text, _ := fields[noteNow].(string)
	if now, err := time.Parse(time.RFC3339Nano, text); err == nil {
		n.Now = now
	}
	n.ID, _ = fields[noteID].(string)
	n.Outputs, _ = fields[noteOutputs].(map[string]any)
	return n
}

// carried has the request of a claim carried by the courier, under the claim's ID.
func (c *call) carried(ctx context.Context) (context.Context, error) {
	if c.attempt == nil || c.r.Courier == nil {
		return ctx, nil
	}
	key, err := courier.KeyOf(c.sent, c.attempt.ID)
	if err != nil {
		return nil, err
	}
	encoded, err := c.note.encode()
	if err != nil {
		return nil, errors.New("what calls before the refresh gave cannot be written down")
	}
	return courier.WithAttempt(ctx, courier.Attempt{
		ID: c.attempt.ID, Courier: c.attempt.Courier, Namespace: c.job.Credential.Namespace, Note: encoded, Again: c.note.Again, Key: key,
	}), nil
}

// heard is what the courier says of the attempt in the state. Its zero value stands for
// one that nobody was asked about.
type heard struct {
	fate   courier.Fate
	silent bool // it did not answer
	came   *courier.Outcome
}

// isFinal reports whether the courier knows for sure what became of the attempt, whether
// or not its holder is gone.
func (h heard) isFinal() bool { return h.fate == courier.NeverReceived || h.fate == courier.Ended }

// IsSilent reports whether the courier of the attempt in the state did not answer what
// became of it, and may do so later.
func (f Found) IsSilent() bool { return f.heard.silent }

// ask asks the courier about the attempt in the state, where that went by one.
func (r *Refresher) ask(ctx context.Context, job Job) heard {
	record, attempt := job.Found.Record, job.Found.Record.State.Attempt
	if r.Courier == nil || attempt == nil || attempt.Courier == "" || record.Copied {
		return heard{}
	}
	answer, err := r.Courier.Ask(ctx, courier.Question{Attempt: attempt.ID, Courier: attempt.Courier, Started: attempt.Started})
	r.attempts.hear(client.ObjectKeyFromObject(job.Credential), err != nil)
	if err != nil {
		log.FromContext(ctx).Info("the courier does not say what became of an exchange", "why", err.Error())
		return heard{silent: true}
	}
	said := heard{fate: answer.Fate}
	if answer.Fate == courier.Ended {
		key, err := courier.KeyOf(record.State.Sent(), attempt.ID)
		came, opened := answer.Open(key)
		if err != nil || !opened {
			return heard{fate: courier.Stranger} // the token was replaced meanwhile, by which it was sealed
		}
		said.came = &came
	}
	return said
}

// resolve finds out what became of an attempt that somebody left, and takes in the reply
// that the courier has of it, as if it had just come.
func (r *Refresher) resolve(ctx context.Context, job Job) (Found, error) {
	found := job.Found
	found.heard = r.ask(ctx, job)
	came := found.heard.came
	if came == nil || job.Inputs.Provider.Refresh == nil {
		found.Recovery = r.recoveryOf(job.Credential, job.Inputs, found.Record.State, found.heard)
		return found, nil
	}
	r.InFlight.Add(1) // the process does not end before what has come is saved
	defer r.InFlight.Done()
	record := *found.Record
	x := &renewal{r: r, job: job, key: client.ObjectKeyFromObject(job.Credential), record: &record}
	x.prepared.x = x
	outcome, err := x.read(*came)
	claim := x.claimOf(record.State)
	if isUnclear(outcome, err) || err == nil && claim.leavesDoubt(outcome) {
		r.handOver(record.State.Attempt.ID)
		found.Recovery = r.recoveryOf(job.Credential, job.Inputs, record.State, found.heard)
		return found, nil
	}
	log.FromContext(ctx).Info("the courier has the reply to an exchange of an earlier process")
	err = claim.settle(ctx, outcome, err)
	switch {
	case record.State.Attempt != nil:
		return found, err // it could not be saved yet
	case err != nil: // nothing is in the way of asking again, which tells it whole
		return found, r.pause("the provider's answer to an earlier process is taken in")
	}
	found.Record, found.heard = &record, heard{}
	if x.result.Record = &record; !x.result.Token.IsZero() {
		x.result.Called, found.Came = true, &x.result
	}
	return found, nil
}

// read reads what came of an attempt of an earlier process.
func (x *renewal) read(came courier.Outcome) (provider.Outcome, error) {
	state := x.record.State
	x.origin = originOf(x.job.Inputs, state)
	step := x.job.Inputs.Provider.Refresh
	c := &call{r: x.r, job: x.job, result: &x.result, origin: x.origin, way: step, spends: true}
	noted := noteOf(came.Note, state.Attempt.Started)
	c.begin(step, state, noted)
	return c.read(came.Reply, came.Failure, x.r.Clock.Now().Sub(noted.Now))
}

// isUnclear reports whether an outcome does not say whether the token was spent.
func isUnclear(outcome provider.Outcome, err error) bool {
	if err != nil {
		return isUnknown(err)
	}
	return outcome.UnkeptRefreshToken == 0 && outcome.Grant.RefreshToken.IsZero() && outcome.Reason == v1alpha1.OutcomeUnknownReason
}

// claimOf is the claim that another process has made. Where it was to send a token once
// more, the first attempt is that of the same time.
func (x *renewal) claimOf(state rotation.State) *claim {
	c := &claim{x: x, resend: state.Attempt.Resend, before: state.Origin}
	if c.resend {
		first := *state.Attempt
		first.Resend, first.Courier = false, ""
		c.doubtful = &first
	}
	return c
}

// forgetReply drops what a reply brought: it is saved, or nobody needs it any more.
func (r *Refresher) forgetReply(attempt string) {
	r.Spool.Drop(attempt)
	r.handOver(attempt)
}

// handOver tells the courier that it need not keep the reply to an attempt any more.
func (r *Refresher) handOver(attempt string) {
	if r.Courier != nil && attempt != "" {
		r.Courier.Saved(attempt)
	}
}
