// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package timetext

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	// iso is a duration of ISO 8601 section 5.5.2: P1Y2M3W4DT5H6M7.8S. Of what is
	// left out, each part may be.
	iso = regexp.MustCompile(`^([+-])?P(?:([+-]?\d+)Y)?(?:([+-]?\d+)M)?(?:([+-]?\d+)W)?(?:([+-]?\d+(?:[.,]\d+)?)D)?(?:T(?:([+-]?\d+(?:[.,]\d+)?)H)?(?:([+-]?\d+(?:[.,]\d+)?)M)?(?:([+-]?\d+(?:[.,]\d+)?)S)?)?$`)
	// counted is a number with its unit: 3600s, 1.5 hours.
	counted = regexp.MustCompile(`^\s*,?\s*(?:and\s+)?(\d+(?:\.\d+)?)\s*([A-Za-zµμ]+)(?:\(s\))?\.?`)
	// dialled is hours, minutes and seconds with days before them, as .NET and Python
	// write them: 1.02:03:04, 1 day, 2:03:04.
	dialled = regexp.MustCompile(`^(?:(\d{1,5})(?:\.| days?, ))?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?$`)
)

// units by their names. One that has two meanings, such as M or mo, is none.
var units = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond, "msecs": time.Millisecond, "millis": time.Millisecond,
	"millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": day, "day": day, "days": day,
	"w": 7 * day, "week": 7 * day, "weeks": 7 * day,
	"S": time.Second, "H": time.Hour, "D": day, "W": 7 * day,
	"y": 365 * day, "year": 365 * day, "years": 365 * day,
}

const day = 24 * time.Hour

// Span reads a duration: Go's (1h30m), ISO 8601's (PT1H30M), a number with the name of
// its unit (90 minutes), or a clock's (01:30:00). Years and months of ISO 8601 are those
// that follow from. One that is out of time.Duration's range is the longest there is.
func Span(text string, from time.Time) (span time.Duration, ok bool) {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	if text == "" || len(text) > longest {
		return 0, false
	}
	if match := iso.FindStringSubmatch(strings.ToUpper(text)); match != nil {
		return isoSpan(match, from)
	}
	if match := dialled.FindStringSubmatch(text); match != nil {
		return dialledSpan(match), true
	}
	return countedSpan(text)
}

func isoSpan(match []string, from time.Time) (time.Duration, bool) {
	if strings.Join(match[2:], "") == "" {
		return 0, false // P alone
	}
	years, months := integer(match[2]), integer(match[3])
	if max(years, -years, months, -months) > 10_000 {
		return math.MaxInt64, true
	}
	seconds := from.AddDate(years, months, 0).Sub(from).Seconds()
	for i, unit := range []time.Duration{7 * day, day, time.Hour, time.Minute, time.Second} {
		number, _ := Number(strings.Replace(match[4+i], ",", ".", 1))
		seconds += number * unit.Seconds()
	}
	if match[1] == "-" {
		seconds = -seconds
	}
	return Seconds(seconds), true
}

func integer(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil && text != "" {
		return math.MaxInt32 // more digits than any has
	}
	return number
}

func dialledSpan(match []string) time.Duration {
	seconds := 0.0
	for i, unit := range []time.Duration{day, time.Hour, time.Minute, time.Second} {
		number, _ := Number(match[1+i])
		seconds += number * unit.Seconds()
	}
	if match[5] != "" {
		fraction, _ := Number("0." + match[5])
		seconds += fraction
	}
	return Seconds(seconds)
}

// countedSpan reads numbers with units, the larger ones first as all write them.
func countedSpan(text string) (time.Duration, bool) {
	sign := 1.0
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		text, sign = rest, -1
	}
	text = strings.TrimPrefix(text, "+")
	seconds, found := 0.0, false
	for strings.TrimSpace(text) != "" {
		match := counted.FindStringSubmatch(text)
		if match == nil {
			return 0, false
		}
		name := match[2]
		unit, known := units[name]
		if !known && len(name) > 1 {
			unit, known = units[strings.ToLower(name)]
		}
		number, isNumber := Number(match[1])
		if !known || !isNumber {
			return 0, false
		}
		seconds, found = seconds+number*unit.Seconds(), true
		text = text[len(match[0]):]
	}
	return Seconds(sign * seconds), found
}

// Seconds is a duration of so many seconds, or the longest where that is beyond its
// range.
func Seconds(seconds float64) time.Duration {
	switch {
	case seconds >= math.MaxInt64/1e9:
		return math.MaxInt64
	case seconds <= math.MinInt64/1e9:
		return math.MinInt64
	}
	return time.Duration(math.Round(seconds * 1e9))
}
