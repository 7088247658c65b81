// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

// answered is why a call was not made again although its first reply asked for that. The
// reply said that nothing was spent, and the provider has seen what was sent.
type answered struct{ error }

// Unwrap gives what stands in the way.
func (a answered) Unwrap() error { return a.error }

// wasAnswered reports whether the provider has answered that nothing was spent.
func wasAnswered(err error) bool { return errors.As(err, new(answered)) }

// sendAgain makes the call once more, with what the reply brought for it, such as a nonce
// (RFC 9449 section 8) or another host. The reply says that nothing was spent, so that a
// token which works once is sent under the claim that stands. A second such reply is a
// refusal, as its outcome says.
//
// Each call has its own slot and its own part of the provider's allowance. Where there is
// none now, what the reply brought is kept for the next reconcile.
func (c *call) sendAgain(ctx context.Context, first provider.Outcome) (provider.Outcome, error) {
	c.note = note{Now: c.note.Now, ID: uuid.NewString(), Outputs: overlaid(c.note.Outputs, first.Outputs), Again: true}
	c.begun = c.begun.Again(first.Outputs, c.note.ID)
	err := c.build(ctx)
	if err == nil {
		err = c.enter(c.request.URL.Host)
	}
	if err == nil {
		err = c.takeRate()
	}
	if err != nil {
		c.r.prepared.put(keptKey(c.job.Credential, c.step), first.Outputs, c.nextTry(err).Add(keptForVisit))
		return provider.Outcome{}, answered{err}
	}
	defer c.leave(pace.Unasked, false)
	outcome, err := c.send(ctx)
	if err != nil && !isUnknown(err) {
		err = answered{err}
	}
	return outcome, err
}

// nextTry is when a call is made at the earliest that something stands in the way of now.
func (c *call) nextTry(err error) time.Time {
	var pause *Pause
	if errors.As(err, &pause) {
		return pause.Until
	}
	return c.r.Clock.Now()
}

// unanswered tells apart what cannot have been sent from what may have been, and what the
// server said of the client's certificate.
func (c *call) unanswered(err error) error {
	if !errors.Is(err, egress.ErrCertificate) {
		return unanswered(err)
	}
	next := "the provider must ask for one (spec.inputs.clientCertificate of its ClusterTokenProvider)"
	switch ref := c.job.Credential.Spec.ClientCertificateSecretRef; {
	case c.job.Inputs.Certificate != nil && ref != nil:
		next = fmt.Sprintf("put one that the provider accepts, with its chain and its key, into the Secret of spec.clientCertificateSecretRef (%q)", ref.Name)
	case c.job.Inputs.Provider.ClientCertificate != "" && c.job.Inputs.Provider.ClientCertificate != v1alpha1.None:
		next = "set spec.clientCertificateSecretRef to a Secret of type kubernetes.io/tls with one that the provider accepts"
	}
	return problem.New(v1alpha1.AppRejectedReason, "%s: %s", problem.OneLine(err), next)
}
