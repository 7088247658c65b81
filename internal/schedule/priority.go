// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import "time"

// Bands of a queue's priority, the higher the sooner. Within a band what falls due
// first goes first.
const (
	// Urgent: no token that lives is in the target.
	Urgent = 20
	// Soon: the token expires shortly after its renewal is due.
	Soon = 10
	// Normal: there is slack.
	Normal = 0
	// Failing: the last attempt failed. Many of these must not delay one of the
	// others.
	Failing = -10
)

// shortSlack is what counts as shortly.
const shortSlack = 2 * time.Minute

// Priority is the band of a visit at a moment, for a token that expires then; the
// zero time: there is none.
func Priority(at, expires time.Time, failing bool) int {
	switch slack := expires.Sub(at); {
	case failing:
		return Failing
	case slack <= 0:
		return Urgent
	case slack < shortSlack:
		return Soon
	default:
		return Normal
	}
}
