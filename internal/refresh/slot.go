// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"errors"
	"sync"
	"time"

	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

// slot is a credential's among the calls in flight to a host, from before its
// token is claimed until the reply has been read.
type slot struct {
	leave func(answer pace.Answer, patient bool)
}

// enter takes a slot. It comes before the claim, so that nothing is claimed for a
// call that must wait.
func (c *call) enter(host string) error {
	waiter := Waiter(c.job.Credential, c.r.Clock.Now())
	if c.step == c.way { // those around it may go elsewhere
		c.r.hosts.remember(inputs.SourceOf(c.job.Credential.Spec.ProviderRef, c.job.Credential.Spec.Parameters), host)
	}
	switch c.r.Hosts.Enter(host, waiter, c.r.Clock.Now()) {
	case pace.Go:
	case pace.Busy:
		return &Pause{Until: c.r.Clock.Now().Add(SlotPause), Why: "the host's concurrency limit is reached"}
	case pace.Down:
		c.result.Called = true // it counts as an attempt, and backs off
		return problem.New(v1alpha1.ProviderUnavailableReason,
			"the host %s does not answer: call after call failed; it is probed every 1 to 30 s, and all is tried again at once when it is back", host)
	}
	left := false
	c.slot = &slot{leave: func(answer pace.Answer, patient bool) {
		if !left {
			left = true
			c.r.Hosts.Leave(host, waiter, answer, patient, c.r.Clock.Now())
		}
	}}
	return nil
}

// answer is what the outcome of a call means for its host; failure is how the call itself
// went wrong, and spends whether it sent a token that works once.
func answer(outcome provider.Outcome, failure error, spends bool) pace.Answer {
	isUnclear := failure != nil || outcome.Reason == v1alpha1.OutcomeUnknownReason
	switch {
	case errors.Is(failure, egress.ErrUnreachable):
		return pace.Unreachable
	case errors.Is(failure, egress.ErrDenied), errors.Is(failure, egress.ErrNotSent):
		return pace.Unasked
	case isUnclear && spends:
		return pace.Unclear
	case isUnclear, outcome.Reason == v1alpha1.ProviderUnavailableReason:
		return pace.Unavailable
	case outcome.Reason == v1alpha1.RateLimitedReason:
		return pace.Throttled
	}
	return pace.Served
}

// hostsBySource remembers which host a provider is asked at, for what is asked of it:
// that is known for sure only once a request has been built. Its zero value is ready to
// use.
type hostsBySource struct {
	once  sync.Once
	hosts *lru.Cache
}

// maxSources is how many are remembered: those of one that is forgotten read its
// Secrets once in vain while its host has no slot.
const maxSources = 4096

func (h *hostsBySource) cache() *lru.Cache {
	h.once.Do(func() { h.hosts = lru.New(maxSources) })
	return h.hosts
}

// of a source; empty where it is not known.
func (h *hostsBySource) of(source string) string {
	known, _ := h.cache().Get(source)
	host, _ := known.(string)
	return host
}

func (h *hostsBySource) remember(source, host string) {
	if h.of(source) != host {
		h.cache().Add(source, host)
	}
}

// Waiter is a credential among those that wait for a call.
func Waiter(credential *v1alpha1.TokenCredential, now time.Time) pace.Waiter {
	known := &credential.Status
	waiter := pace.Waiter{Who: client.ObjectKeyFromObject(credential), Class: pace.New, Deadline: now}
	if known.ExpirationTime != nil {
		waiter.Class, waiter.Deadline = pace.Renewal, known.ExpirationTime.Time
	}
	if known.FailedAttempts > 0 && known.LastFailureTime != nil {
		waiter.Class, waiter.FailedAt = pace.Failing, known.LastFailureTime.Time
	}
	return waiter
}
