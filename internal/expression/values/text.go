// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package values

import (
	"math"
	"strconv"
	"time"
)

// Text gives the text of a value that Native gave: a string as it is, bytes as
// they are, an int in decimal, a double without exponent where it is whole, a
// timestamp in RFC 3339, a duration in seconds as in "3.5s", a bool as true or
// false. ok is false for null, a list and a map.
func Text(value any) (text string, ok bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case []byte:
		return string(value), true
	case bool:
		return strconv.FormatBool(value), true
	case int64:
		return strconv.FormatInt(value, 10), true
	case uint64:
		return strconv.FormatUint(value, 10), true
	case float64:
		if value == math.Trunc(value) && !math.IsInf(value, 0) {
			return strconv.FormatFloat(value, 'f', -1, 64), true
		}
		return strconv.FormatFloat(value, 'g', -1, 64), true
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano), true
	case time.Duration:
		return strconv.FormatFloat(value.Seconds(), 'f', -1, 64) + "s", true
	}
	return "", false
}
