// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/timetext"
)

// longestPause is how long a provider may ask to wait: a header of a thousand days must
// not put a credential to sleep for good.
const longestPause = 24 * time.Hour

// retryAfter reads the header of that name: seconds or an HTTP date (RFC 9110 section
// 10.2.3), a fraction of seconds too, as some servers send. Where it comes more than
// once, or as a list, the longest counts.
func retryAfter(header http.Header, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, value := range header.Values("Retry-After") {
		longest = max(longest, pauseOf(value, now))
	}
	return longest
}

// pauseOf reads how long a provider asks to wait: a number of seconds, a duration, or a
// moment in any notation, a number since 1970 among them; of a list the longest. What
// cannot be read, or has passed, is 0; more than longestPause is longestPause.
func pauseOf(value any, now time.Time) time.Duration {
	pause := time.Duration(0)
	switch value := value.(type) {
	case time.Duration:
		pause = value
	case time.Time:
		pause = value.Sub(now)
	case []any:
		for _, each := range value {
			pause = max(pause, pauseOf(each, now))
		}
	case string:
		pause = writtenPause(value, now)
	default:
		if number, ok := numberOf(value); ok {
			pause = countedPause(number, now)
		}
	}
	return max(0, min(pause, longestPause))
}

// pauseHeaders are what servers send beside Retry-After (RFC 9110 section 10.2.3): when their
// limit is counted anew. They come with every reply, so they are asked where a limit was
// met alone.
var pauseHeaders = []string{
	"X-Rate-Limit-Reset", "X-RateLimit-Reset", "RateLimit-Reset", "X-RateLimit-Reset-After", "X-Retry-After",
}

// pauseMembers are where bodies say how many seconds to wait.
var pauseMembers = []string{"retry_after", "retryAfter", "retry_after_seconds", "retryAfterSeconds"}

// resetIn finds the pause in the header RateLimit of the IETF's drafts: limit=10, reset=15,
// or "default";r=0;t=15.
var resetIn = regexp.MustCompile(`(?i)(?:^|[;,\s])(?:reset|t)=(\d+(?:\.\d+)?)`)

// limited reads how long to wait where a limit was met and the description does not say
// where that stands.
func limited(header http.Header, body any, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, name := range pauseHeaders {
		for _, value := range header.Values(name) {
			longest = max(longest, pauseOf(value, now))
		}
	}
	for _, value := range header.Values("RateLimit") {
		if member := resetIn.FindStringSubmatch(value); member != nil {
			longest = max(longest, pauseOf(member[1], now))
		}
	}
	if milliseconds, ok := timetext.Number(header.Get("Retry-After-Ms")); ok {
		longest = max(longest, pauseOf(timetext.Seconds(milliseconds/1e3), now))
	}
	return max(longest, pauseIn(body, now, 2))
}

// pauseIn reads the pause in an object, so many levels deep.
func pauseIn(body any, now time.Time, depth int) time.Duration {
	object, is := body.(map[string]any)
	if !is || depth == 0 {
		return 0
	}
	longest := pauseIn(object["error"], now, depth-1)
	for _, name := range pauseMembers {
		longest = max(longest, pauseOf(object[name], now))
	}
	return longest
}

// countedPause reads a number: of seconds, or since 1970 where that is about now.
func countedPause(number float64, now time.Time) time.Duration {
	if moment, ok := timetext.Epoch(number, now, longestLifetime); ok {
		return moment.Sub(now)
	}
	return timetext.Seconds(number)
}

func writtenPause(text string, now time.Time) time.Duration {
	if number, ok := timetext.Number(text); ok {
		return countedPause(number, now)
	}
	if moment, _, ok := timetext.Moment(text); ok {
		return moment.Sub(now)
	}
	if length, ok := timetext.Span(text, now); ok {
		return length
	}
	longest := time.Duration(0)
	if parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' }); len(parts) > 1 && len(parts) <= 16 {
		for _, part := range parts {
			longest = max(longest, writtenPause(strings.TrimSpace(part), now))
		}
	}
	return longest
}
