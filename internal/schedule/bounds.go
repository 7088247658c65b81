// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// EarliestAt is the moment before which a provider refuses to renew a token: the issue
// where it does not.
//
// It is on a whole second and allows for StartAt, which begins a call within the second
// before it is due.
func EarliestAt(validity token.Validity, percentage int) time.Time {
	if percentage <= 0 {
		return validity.IssuedAt
	}
	floor := validity.Lifetime() / 100 * time.Duration(percentage)
	at := validity.IssuedAt.Add(floor).Add(2*time.Second - time.Nanosecond).Truncate(time.Second)
	if at.After(validity.ExpiresAt) { // it lives for a second or two: what is early is its end
		return validity.ExpiresAt
	}
	return at
}

// notBefore moves a moment that comes too early for the provider to the earliest that it
// allows, and some of the time that is left after that, so that credentials which got
// their tokens together do not come together: a jitter that is only ever later.
func notBefore(due time.Time, validity token.Validity, percentage int, seed string) time.Time {
	earliest := EarliestAt(validity, percentage)
	if !due.Before(earliest) {
		return due
	}
	spread := fraction(min(validity.ExpiresAt.Sub(earliest)/jitterShare, maxJitter), seed)
	return earliest.Add(spread).Truncate(time.Second)
}
