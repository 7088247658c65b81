// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package values

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

const (
	// MaxResult is the size of the largest text or bytes, in bytes, of all parts of a value
	// together.
	MaxResult = 512 << 10

	// MaxElements is how many elements a value may have, at all depths: twice what a reply
	// may hold.
	MaxElements = 2 * jsontext.MaxValues
)

// Error is what is wrong with a value. Its text holds none.
type Error string

func (e Error) Error() string { return string(e) }

// ErrTooLarge is the error of a value beyond MaxResult or MaxElements.
const ErrTooLarge = Error("it would give more than 524288 bytes or 10000 elements")

// Native gives the Go value; present is false for an empty optional. The error quotes
// nothing.
func Native(value ref.Val) (result any, present bool, err error) { return new(converter).native(value) }

// Exceeds reports whether a value is larger than may be.
func Exceeds(value ref.Val) bool {
	var c converter
	_, _, _ = c.native(value)
	return c.exceeded()
}

// converter turns a CEL value into a Go value, within MaxElements and MaxResult. What
// an expression gives may share its parts, and be far larger than it is in memory.
type converter struct{ elements, bytes int }

// exceeded reports whether the value is larger than may be.
func (c *converter) exceeded() bool { return c.elements > MaxElements || c.bytes > MaxResult }

func (c *converter) native(value ref.Val) (result any, present bool, err error) {
	c.elements++
	switch value := value.(type) {
	case types.String:
		c.bytes += len(value)
	case types.Bytes:
		c.bytes += len(value)
	}
	if c.exceeded() {
		return nil, false, ErrTooLarge
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
	return nil, false, Error("it gives a value that is no text, number, list or map")
}

func (c *converter) nativeMap(value traits.Mapper) (map[string]any, error) {
	result := map[string]any{}
	for keys := value.Iterator(); keys.HasNext() == types.True; {
		key := keys.Next()
		name, _, err := c.native(key)
		if err != nil {
			return nil, err
		}
		text, ok := Text(name)
		if !ok {
			return nil, Error("a key of a map must be a text or a number")
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
