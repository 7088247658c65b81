// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// agreement follows whether statuses say what their targets hold. A status is
// written after its target, so at any moment some disagree; what counts is for how
// long, and that each comes to agree.
type agreement struct {
	// stale since when: the names of targets whose status says something else.
	stale map[types.NamespacedName]time.Time
	// pending are the names that were stale when agreement was last expected, and
	// have not agreed since. A token that takes another's place meanwhile does not
	// end the wait.
	pending map[types.NamespacedName]bool
	last    time.Time // when the last of them came to agree
	// lags between a token in a target and the status that tells of it, in seconds,
	// since the last forgetLags.
	lags []float64
}

func newAgreement() agreement {
	return agreement{stale: map[types.NamespacedName]time.Time{}, pending: map[types.NamespacedName]bool{}}
}

// agrees tells whether a status says what its target holds: a token with this expiry,
// by an attempt that went well.
func agrees(status seenStatus, target seenTarget) bool {
	return status.ready && status.refreshed && status.plan.expires.Equal(target.expires)
}

// compare notes whether target and status agree. The caller holds the lock.
func (o *observer) compare(name types.NamespacedName, now time.Time) {
	target, known := o.targets[name]
	if !known {
		return
	}
	a := &o.agreement
	_, stale := a.stale[name]
	switch agree := agrees(o.statuses[name], target); {
	case !agree && !stale:
		a.stale[name] = now
	case agree:
		if stale {
			a.lags = append(a.lags, now.Sub(target.since).Seconds())
			delete(a.stale, name)
		}
		if a.pending[name] {
			delete(a.pending, name)
			a.last = now
		}
	}
}

// expectAgreement begins to wait for all that are stale now, and returns how many
// they are.
func (o *observer) expectAgreement(now time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := &o.agreement
	a.pending, a.last = map[types.NamespacedName]bool{}, now
	for name := range a.stale {
		a.pending[name] = true
	}
	return len(a.pending)
}

// pending is how many have not agreed since agreement was expected, and when the
// last came to.
func (o *observer) pending() (int, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.agreement.pending), o.agreement.last, o.failure
}

// staleStatuses is how many statuses say something else than their targets now.
func (o *observer) staleStatuses() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.agreement.stale)
}

// forgetLags drops the lags seen so far, and returns them.
func (o *observer) forgetLags() []float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	lags := o.agreement.lags
	o.agreement.lags = nil
	return lags
}
