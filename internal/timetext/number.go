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

// Number reads a decimal number as a server may write it: with a sign, a fraction, an
// exponent.
func Number(text string) (number float64, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > longest || strings.ContainsAny(text, "xXpP_") { // Go's own notations
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil && !math.IsNaN(number) && !math.IsInf(number, 0)
}

// Epoch reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970:
// of these the unit in which it is no further from now than most.
func Epoch(number float64, now time.Time, most time.Duration) (moment time.Time, ok bool) {
	if math.IsNaN(number) {
		return time.Time{}, false
	}
	for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
		seconds := number / unit
		if math.Abs(seconds-float64(now.UnixNano())/1e9) <= most.Seconds() {
			whole, fraction := math.Modf(seconds)
			return time.Unix(int64(whole), int64(math.Round(fraction*1e3)*1e6)).UTC(), true
		}
	}
	return time.Time{}, false
}

// dateJSON is the notation of .NET's older serializers: /Date(1795694400000)/, with an
// offset that changes nothing.
var dateJSON = regexp.MustCompile(`^\\?/?(?:new )?Date\((-?\d{1,15})(?:[+-]\d{4})?\)\\?/?$`)

// wrapped reads milliseconds since 1970 in a wrapping.
func wrapped(text string) (moment time.Time, ok bool) {
	match := dateJSON.FindStringSubmatch(text)
	if match == nil {
		return time.Time{}, false
	}
	milliseconds, err := strconv.ParseInt(match[1], 10, 64)
	return time.UnixMilli(milliseconds).UTC(), err == nil
}
