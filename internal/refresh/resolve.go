// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

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
	if r.Calls.Courier == nil || attempt == nil || attempt.Courier == "" || record.Copied {
		return heard{}
	}
	answer, err := r.Calls.Courier.Ask(ctx, courier.Question{Attempt: attempt.ID, Courier: attempt.Courier, Started: attempt.Started})
	r.Saver.Attempts.Hear(client.ObjectKeyFromObject(job.Credential), err != nil)
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
	x := r.renewalOf(job, &record)
	x.visit.Origin = route.OriginOf(x.job.Inputs, record.State)
	outcome, err := x.visit.Read(*came, record.State)
	claim := x.claimOf(record.State)
	if isUnclear(outcome, err) || err == nil && claim.leavesDoubt(outcome) {
		r.Saver.HandOver(record.State.Attempt.ID)
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

// isUnclear reports whether an outcome does not say whether the token was spent.
func isUnclear(outcome provider.Outcome, err error) bool {
	if err != nil {
		return call.IsUnknown(err)
	}
	return outcome.UnkeptRefreshToken == 0 && outcome.Grant.RefreshToken.IsZero() && outcome.Reason == v1alpha1.OutcomeUnknownReason
}

// claimOf is the claim that another process has made. Where it was to send a token once
// more, the first attempt is that of the same time.
func (x *renewal) claimOf(state rotation.State) *claim {
	c := &claim{x: x, sent: state.Sent(), resend: state.Attempt.Resend, before: state.Origin}
	if c.resend {
		first := *state.Attempt
		first.Resend, first.Courier = false, ""
		c.doubtful = &first
	}
	return c
}
