// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pause

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
	"github.com/tokenkeeper/tokenkeeper/internal/timetext"
)

// Longest is how long a provider may ask to wait: a header of a thousand days must
// not put a credential to sleep for good.
const Longest = 24 * time.Hour

// RetryAfter reads the header of that name: seconds or an HTTP date (RFC 9110 section
// 10.2.3), a fraction of seconds too, as some servers send. Where it comes more than
// once, or as a list, the longest counts.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, value := range header.Values("Retry-After") {
		longest = max(longest, Of(value, now))
	}
	return longest
}

// Of reads how long a provider asks to wait: a number of seconds, a duration, or a
// moment in any notation, a number since 1970 among them; of a list the longest. What
// cannot be read, or has passed, is 0; more than Longest is Longest.
func Of(value any, now time.Time) time.Duration {
	pause := time.Duration(0)
	switch value := value.(type) {
	case time.Duration:
		pause = value
	case time.Time:
		pause = value.Sub(now)
	case []any:
		for _, each := range value {
			pause = max(pause, Of(each, now))
		}
	case string:
		pause = written(value, now)
	default:
		if number, ok := lifetime.Number(value); ok {
			pause = counted(number, now)
		}
	}
	return max(0, min(pause, Longest))
}

// headers are what servers send beside Retry-After (RFC 9110 section 10.2.3): when their
// limit is counted anew. They come with every reply, so they are asked where a limit was
// met alone.
var headers = []string{
	"X-Rate-Limit-Reset", "X-RateLimit-Reset", "RateLimit-Reset", "X-RateLimit-Reset-After", "X-Retry-After",
}

// members are where bodies say how many seconds to wait.
var members = []string{"retry_after", "retryAfter", "retry_after_seconds", "retryAfterSeconds"}

// resetIn finds the pause in the header RateLimit of the IETF's drafts: limit=10, reset=15,
// or "default";r=0;t=15.
var resetIn = regexp.MustCompile(`(?i)(?:^|[;,\s])(?:reset|t)=(\d+(?:\.\d+)?)`)

// Limited reads how long to wait where a limit was met and the description does not say
// where that stands.
func Limited(header http.Header, body any, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, name := range headers {
		for _, value := range header.Values(name) {
			longest = max(longest, Of(value, now))
		}
	}
	for _, value := range header.Values("RateLimit") {
		if member := resetIn.FindStringSubmatch(value); member != nil {
			longest = max(longest, Of(member[1], now))
		}
	}
	if milliseconds, ok := timetext.Number(header.Get("Retry-After-Ms")); ok {
		longest = max(longest, Of(timetext.Seconds(milliseconds/1e3), now))
	}
	return max(longest, in(body, now, 2))
}

// in reads the pause in an object, so many levels deep.
func in(body any, now time.Time, depth int) time.Duration {
	object, is := body.(map[string]any)
	if !is || depth == 0 {
		return 0
	}
	longest := in(object["error"], now, depth-1)
	for _, name := range members {
		longest = max(longest, Of(object[name], now))
	}
	return longest
}

// counted reads a number: of seconds, or since 1970 where that is about now.
func counted(number float64, now time.Time) time.Duration {
	if moment, ok := timetext.Epoch(number, now, lifetime.Longest); ok {
		return moment.Sub(now)
	}
	return timetext.Seconds(number)
}

func written(text string, now time.Time) time.Duration {
	if number, ok := timetext.Number(text); ok {
		return counted(number, now)
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
			longest = max(longest, written(strings.TrimSpace(part), now))
		}
	}
	return longest
}
