// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"strconv"
	"time"
)

const (
	// firstBackoff follows the first failure; it doubles with each further one.
	firstBackoff = time.Second

	// maxBackoff is the longest pause of our own making.
	maxBackoff = 5 * time.Minute

	// maxRetryAfter is the longest pause that a provider may ask for: a header
	// of a thousand days must not put a credential to sleep for good.
	maxRetryAfter = 24 * time.Hour
)

// RetryAt is when the attempt after the given number of failures in a row is
// made: exponentially later, spread by the seed over a quarter of the pause, and
// not before the moment that the provider asked for. It falls on a whole second,
// as status carries it.
func RetryAt(failedAt time.Time, failures int32, retryAfter time.Duration, seed string) time.Time {
	pause := maxBackoff
	if doublings := max(failures, 1) - 1; doublings < 16 {
		pause = min(firstBackoff<<doublings, maxBackoff)
	}
	pause = max(pause, min(retryAfter, maxRetryAfter))
	retry := failedAt.Add(pause + fraction(pause/4, seed+strconv.Itoa(int(failures))))
	return retry.Add(time.Second - time.Nanosecond).Truncate(time.Second)
}

// Wake is when a credential is next looked at: the earliest of the moments given
// that is set, and the zero time when none is.
func Wake(moments ...time.Time) time.Time {
	var earliest time.Time
	for _, moment := range moments {
		if moment.IsZero() {
			continue
		}
		if earliest.IsZero() || moment.Before(earliest) {
			earliest = moment
		}
	}
	return earliest
}
