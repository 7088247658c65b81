// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"sync"
	"time"

	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// SlotPause is how long a credential waits for a slot at its provider's host at
// most: it is woken as soon as there is one.
const SlotPause = 30 * time.Second

// slot is a credential's among the calls in flight to a host, from before its
// token is claimed until the reply has been read.
type slot struct {
	leave func(answer pace.Answer, patient bool)
}

// enter takes a slot. It comes before the claim, so that nothing is claimed for a
// call that must wait.
func (c *Call) enter(host string) error {
	waiter := Waiter(c.visit.Credential, c.visit.By.Clock.Now())
	if c.step == c.way { // those around it may go elsewhere
		c.visit.By.hosts.remember(inputs.SourceOf(c.visit.Credential.Spec.ProviderRef, c.visit.Credential.Spec.Parameters), host)
	}
	switch c.visit.By.Hosts.Enter(host, waiter, c.visit.By.Clock.Now()) {
	case pace.Go:
	case pace.Busy:
		return &problem.Pause{Until: c.visit.By.Clock.Now().Add(SlotPause), Why: "the host's concurrency limit is reached"}
	case pace.Down:
		*c.called = true // it counts as an attempt, and backs off
		return problem.New(v1alpha1.ProviderUnavailableReason,
			"the host %s does not answer: call after call failed; it is probed every 1 to 30 s, and all is tried again at once when it is back", host)
	}
	left := false
	c.slot = &slot{leave: func(answer pace.Answer, patient bool) {
		if !left {
			left = true
			c.visit.By.Hosts.Leave(host, waiter, answer, patient, c.visit.By.Clock.Now())
		}
	}}
	return nil
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
