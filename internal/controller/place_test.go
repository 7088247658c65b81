// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

func TestWhatAnOutcomeSaysOfTheHost(t *testing.T) {
	t.Parallel()
	outcome := func(reason string) provider.Outcome { return provider.Outcome{Reason: reason} }
	unanswered := errors.Join(errUnknownOutcome, errors.New("the connection was reset"))
	unreached := &problem{reason: v1alpha1.ProviderUnavailableReason}
	for _, each := range []struct {
		name    string
		mode    v1alpha1.RotationMode
		outcome provider.Outcome
		err     error
		want    pace.Answer
	}{
		{"a token is served", v1alpha1.SingleUse, outcome(v1alpha1.RefreshedReason), nil, pace.Served},
		{"a refusal is an answer: the host is well", v1alpha1.Reusable, outcome(v1alpha1.RequestRejectedReason), nil, pace.Served},
		{"too many calls", v1alpha1.SingleUse, outcome(v1alpha1.RateLimitedReason), nil, pace.Throttled},
		{"nothing was spent, says a rule", v1alpha1.SingleUse, outcome(v1alpha1.ProviderUnavailableReason), nil, pace.Unavailable},
		{"nothing was sent", v1alpha1.SingleUse, provider.Outcome{}, unreached, pace.Unavailable},
		{"no answer, and a token may be spent", v1alpha1.SingleUse, provider.Outcome{}, unanswered, pace.Unclear},
		{"no clear answer, and a token may be spent", v1alpha1.SingleUse, outcome(v1alpha1.OutcomeUnknownReason), nil, pace.Unclear},
		{"no answer, and nothing can be spent", v1alpha1.Reusable, provider.Outcome{}, unanswered, pace.Unavailable},
		{"no clear answer, and nothing can be spent", v1alpha1.Reusable, outcome(v1alpha1.OutcomeUnknownReason), nil, pace.Unavailable},
		{"the guard held the call back", v1alpha1.Reusable, provider.Outcome{}, egress.ErrDenied, pace.Unasked},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			asked := found{Provider: &provider.Provider{Refresh: &provider.Call{}}}
			asked.Rotation.Mode = each.mode
			r := &renewal{visit: &visit{provider: asked}}
			each.outcome.RetryAfter = time.Minute
			got, patient := r.answer(each.outcome, each.err)
			if got != each.want || !patient {
				t.Errorf("the host counts as %s, patient %t; want %s, true", got, patient, each.want)
			}
		})
	}
}
