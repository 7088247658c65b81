// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
)

// answered is why a call was not made again although its first reply asked for that. The
// reply said that nothing was spent, and the provider has seen what was sent.
type answered struct{ error }

// Unwrap gives what stands in the way.
func (a answered) Unwrap() error { return a.error }

// WasAnswered reports whether the provider has answered that nothing was spent.
func WasAnswered(err error) bool { return errors.As(err, new(answered)) }

// sendAgain makes the call once more, with what the reply brought for it, such as a nonce
// (RFC 9449 section 8) or another host. The reply says that nothing was spent, so that a
// token which works once is sent under the claim that stands. A second such reply is a
// refusal, as its outcome says.
//
// Each call has its own slot and its own part of the provider's allowance. Where there is
// none now, what the reply brought is kept for the next reconcile.
func (c *Call) sendAgain(ctx context.Context, first provider.Outcome) (provider.Outcome, error) {
	c.note = Note{Now: c.note.Now, ID: uuid.NewString(), Outputs: weigh.Overlaid(c.note.Outputs, first.Outputs), Again: true}
	c.begun = c.begun.Again(first.Outputs, c.note.ID)
	err := c.build(ctx)
	if err == nil {
		err = c.enter(c.request.URL.Host)
	}
	if err == nil {
		err = c.takeRate()
	}
	if err != nil {
		c.visit.By.prepared.put(keptKey(c.visit.Credential, c.step), first.Outputs, nextTry(err, c.visit.By.Clock.Now()).Add(keptForVisit))
		return provider.Outcome{}, answered{err}
	}
	defer c.leave(pace.Unasked, false)
	outcome, err := c.send(ctx)
	if err != nil && !IsUnknown(err) {
		err = answered{err}
	}
	return outcome, err
}

// nextTry is when a call is made at the earliest that something stands in the way of now.
func nextTry(err error, now time.Time) time.Time {
	var pause *problem.Pause
	if errors.As(err, &pause) {
		return pause.Until
	}
	return now
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

// IsUnknown reports whether bytes were sent and no clear answer came.
func IsUnknown(err error) bool { return errors.Is(err, errUnknownOutcome) }
