// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"math"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// converter turns a CEL value into a Go value, within maxElements and MaxResult. What
// an expression gives may share its parts, and be far larger than it is in memory.
type converter struct{ elements, bytes int }

// exceeded reports whether the value is larger than may be.
func (c *converter) exceeded() bool { return c.elements > maxElements || c.bytes > MaxResult }

// native gives the Go value; present is false for an empty optional. The error quotes
// nothing.
func (c *converter) native(value ref.Val) (result any, present bool, err error) {
	c.elements++
	switch value := value.(type) {
	case types.String:
		c.bytes += len(value)
	case types.Bytes:
		c.bytes += len(value)
	}
	if c.exceeded() {
		return nil, false, errTooLarge
	}
	switch value := value.(type) {
	case *types.Optional:
		if !value.HasValue() {
			return nil, false, nil
		}
		return c.native(value.GetValue())
	case types.Null:
		return nil, true, nil
	case types.Bool:
		return bool(value), true, nil
	case types.Int:
		return int64(value), true, nil
	case types.Uint:
		return uint64(value), true, nil
	case types.Double:
		return float64(value), true, nil
	case types.String:
		return string(value), true, nil
	case types.Bytes:
		return []byte(value), true, nil
	case types.Timestamp:
		return value.Time, true, nil
	case types.Duration:
		return value.Duration, true, nil
	case traits.Mapper:
		result, err := c.nativeMap(value)
		return result, err == nil, err
	case traits.Lister:
		result, err := c.nativeList(value)
		return result, err == nil, err
	}
	return nil, false, safeError("it gives a value that is no text, number, list or map")
}

func (c *converter) nativeMap(value traits.Mapper) (map[string]any, error) {
	result := map[string]any{}
	for keys := value.Iterator(); keys.HasNext() == types.True; {
		key := keys.Next()
		name, _, err := c.native(key)
		if err != nil {
			return nil, err
		}
		text, ok := textOf(name)
		if !ok {
			return nil, safeError("a key of a map must be a text or a number")
		}
		member, present, err := c.native(value.Get(key))
		if err != nil {
			return nil, err
		}
		if present {
			result[text] = member
		}
	}
	return result, nil
}

func (c *converter) nativeList(value traits.Lister) ([]any, error) {
	result := []any{}
	for elements := value.Iterator(); elements.HasNext() == types.True; {
		element, present, err := c.native(elements.Next())
		if err != nil {
			return nil, err
		}
		if present {
			result = append(result, element)
		}
	}
	return result, nil
}

// TextOf gives the text of a value that Value gave: a string as it is, bytes as
// they are, an int in decimal, a double without exponent where it is whole, a
// timestamp in RFC 3339, a duration in seconds as in "3.5s", a bool as true or
// false. ok is false for null, a list and a map.
func TextOf(value any) (text string, ok bool) { return textOf(value) }

func textOf(value any) (text string, ok bool) {
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
