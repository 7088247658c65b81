// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import "time"

// Bands of a queue's priority, the higher the sooner. Within a band what falls due
// first goes first.
const (
	// Urgent: the token in the target has expired.
	Urgent = 20
	// Soon: it expires shortly after its renewal is due.
	Soon = 10
	// New: there never was one. However many come at once, they do not let the
	// token of another expire.
	New = 5
	// Normal: there is slack.
	Normal = 0
	// Failing: the last attempt failed. Many of these must not delay one of the
	// others.
	Failing = -10
)

// shortSlack is what counts as shortly.
const shortSlack = 2 * time.Minute

// Priority is the band of a visit at a moment, for a token that expires then; the
// zero time: there never was one.
func Priority(at, expires time.Time, failing bool) int {
	switch slack := expires.Sub(at); {
	case failing:
		return Failing
	case expires.IsZero():
		return New
	case slack <= 0:
		return Urgent
	case slack < shortSlack:
		return Soon
	default:
		return Normal
	}
}

// Deadline is by when a token is wanted, in the order of the bands: when the one
// that there is expires; where there never was one, behind those that expire
// shortly.
func Deadline(expires, now time.Time) time.Time {
	if expires.IsZero() {
		return now.Add(shortSlack)
	}
	return expires
}
