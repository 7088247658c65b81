// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

// roomPause is how long who waits for room at a host sleeps at the most: it is
// woken as soon as there is room.
const roomPause = 30 * time.Second

// place is a credential's among the calls under way to a host, from before its
// token is claimed until the reply has been read.
type place struct {
	who   types.NamespacedName
	leave func(answer pace.Answer, patient bool)
}

// enter takes a place. It comes before the claim, so that nothing is claimed for a
// call that must wait.
func (r *renewal) enter(host string) (*place, error) {
	asking := asker(r.credential, r.Clock.Now())
	r.hosts.remember(r.credential, host)
	switch r.Hosts.Enter(host, asking, r.Clock.Now()) {
	case pace.Go:
	case pace.Busy:
		return nil, &pause{until: r.Clock.Now().Add(roomPause), why: "as many calls as may be are under way to the provider"}
	case pace.Down:
		return nil, &problem{
			reason:    v1alpha1.ProviderUnavailableReason,
			message:   fmt.Sprintf("the host %s has left call after call without an answer; it is tried again now and then, and at once when it is back", host),
			attempted: true,
		}
	}
	left := false
	return &place{who: asking.Who, leave: func(answer pace.Answer, patient bool) {
		if !left {
			left = true
			r.Hosts.Leave(host, asking, answer, patient, r.Clock.Now())
		}
	}}, nil
}

// answer tells what an outcome says of the host, and whether the host said when to
// come again.
func (r *renewal) answer(outcome provider.Outcome, err error) (answer pace.Answer, patient bool) {
	patient = outcome.RetryAfter > 0
	unknown := errors.Is(err, errUnknownOutcome) || outcome.Reason == v1alpha1.OutcomeUnknownReason
	switch {
	case unknown && r.singleUse():
		return pace.Unclear, patient
	case errors.Is(err, egress.ErrDenied), isReason(err, v1alpha1.EgressDeniedReason):
		return pace.Unasked, patient
	case err != nil, unknown, outcome.Reason == v1alpha1.ProviderUnavailableReason:
		return pace.Unavailable, patient
	case outcome.Reason == v1alpha1.RateLimitedReason:
		return pace.Throttled, patient
	}
	return pace.Served, patient
}
