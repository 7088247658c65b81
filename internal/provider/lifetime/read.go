// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lifetime

import (
	"math"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/timetext"
)

const unreadable = "that cannot be read"

// Within reads a lifetime as it is stated by its length: seconds, or a duration. A moment
// is one too, where it is written as one, or is a number that is far too long for a
// length.
func Within(value any, now time.Time) Stated {
	number, ok := Number(unwrapped(value))
	if !ok {
		return written(value, now)
	}
	length := bounded(timetext.Seconds(number))
	if !length.isTooLong {
		return length
	}
	if moment, ok := timetext.Epoch(number, now, Longest); ok && moment.After(now) {
		return bounded(moment.Sub(now))
	}
	if read := written(value, now); read.Kind != Nothing {
		return read
	}
	return length
}

// Until reads a lifetime as it is stated by its end: a moment, or a number since 1970. A
// length is one too, where it is written with its unit.
func Until(value any, now time.Time) Stated {
	number, ok := Number(unwrapped(value))
	if ok && number == 0 {
		return bounded(0)
	}
	if moment, isEpoch := timetext.Epoch(number, now, Longest); ok && isEpoch {
		return bounded(notZero(moment.Sub(now)))
	}
	return written(value, now)
}

// written reads a lifetime that is no number.
func written(value any, now time.Time) Stated {
	value = unwrapped(value)
	switch value := value.(type) {
	case time.Duration:
		return bounded(value)
	case time.Time:
		return bounded(notZero(value.Sub(now)))
	}
	text, isText := value.(string)
	if !isText {
		return Stated{Remark: unreadable}
	}
	if moment, zoned, ok := timetext.Moment(text); ok {
		read := bounded(notZero(moment.Sub(now)))
		if !zoned && read.Kind != Nothing {
			read.Remark = "the reply states the end of a token without a zone, which is read as UTC"
		}
		return read
	}
	if length, ok := timetext.Span(text, now); ok {
		return bounded(length)
	}
	return Stated{Remark: unreadable}
}

// wrappings are the members in which serializers keep a moment or a length: protobuf and
// Firestore, Java, MongoDB's extended JSON.
var wrappings = []string{"seconds", "_seconds", "epochSecond", "$date", "$numberLong"}

// unwrapped is what an object holds that stands for one number or one text.
func unwrapped(value any) any {
	for range 2 { // {"$date": {"$numberLong": "1795694400000"}}
		object, is := value.(map[string]any)
		if !is {
			return value
		}
		for _, name := range wrappings {
			if member, has := object[name]; has {
				value = member
				break
			}
		}
	}
	return value
}

// notZero tells an end that comes just now from a length of 0, which states nothing.
func notZero(life time.Duration) time.Duration {
	if life == 0 {
		return -1
	}
	return life
}

// bounded judges a length. 0 states nothing.
func bounded(life time.Duration) Stated {
	switch {
	case life == 0:
		return Stated{IsZero: true, Remark: "of 0"}
	case life > Longest || life < -Longest:
		return Stated{isTooLong: true, Remark: "of more than ten years"}
	case life < 0:
		return Stated{Kind: End}
	}
	return Stated{Kind: Life, Life: life}
}

// Number reads a number, or a text that holds one.
func Number(value any) (number float64, ok bool) {
	switch value := value.(type) {
	case int64:
		return float64(value), true
	case uint64:
		return float64(value), true
	case float64:
		return value, !math.IsNaN(value)
	case string:
		return timetext.Number(value)
	}
	return 0, false
}
