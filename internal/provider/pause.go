// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"strings"
	"time"
)

// pauseOf reads how long a provider asks to wait: a number of seconds, a duration, or a
// moment, a number since 1970 among them. What cannot be read, or has passed, is 0; more
// than longestPause is longestPause.
func pauseOf(value any, now time.Time) time.Duration {
	var pause time.Duration
	switch value := value.(type) {
	case time.Duration:
		pause = value
	case time.Time:
		pause = value.Sub(now)
	default:
		seconds, _, isNumber := numeric(value)
		text, _ := value.(string)
		moment, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
		switch {
		case isNumber && seconds > longestLifetime.Seconds(): // since 1970
			pause = time.Unix(int64(min(seconds, 1e11)), 0).Sub(now)
		case isNumber:
			pause = time.Duration(seconds * float64(time.Second))
		case err == nil:
			pause = moment.Sub(now)
		default:
			pause = retryAfter(text, now)
		}
	}
	return max(0, min(pause, longestPause))
}

// longestPause is how long a provider may ask to wait.
const longestPause = 24 * time.Hour
