// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// DecodeJSON reads the first JSON value of a text; rest is what follows it. An
// integer is an int64, one beyond int64 its digits as a string, another number a
// float64. Strings keep their bytes, valid UTF-8 or not. The error quotes
// nothing.
func DecodeJSON(text []byte) (value any, rest []byte, err error) {
	escaped := !utf8.Valid(text)
	source := text
	if escaped {
		source = escapeInvalid(text)
	}
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, nil, safeError("it is not JSON")
	}
	rest = source[decoder.InputOffset():]
	if escaped {
		rest = restoreInvalid(rest)
	}
	return plain(value, escaped), rest, nil
}

// deepest is how deep DecodePartialJSON looks: far deeper than any reply is meant.
const deepest = 64

// DecodePartialJSON reads what a text holds of a JSON value that it begins with,
// up to where the text is cut short or broken. A string or a number that is not
// whole is left out, and so is what is nested too deep; nil where nothing is left.
func DecodePartialJSON(text []byte) any {
	escaped := !utf8.Valid(text)
	if escaped {
		text = escapeInvalid(text)
	}
	p := partial{Decoder: json.NewDecoder(bytes.NewReader(text)), size: int64(len(text))}
	p.UseNumber()
	value, _ := p.value(0)
	return plain(value, escaped)
}

// partial reads a text of so many bytes that may end anywhere.
type partial struct {
	*json.Decoder
	size int64
}

// value reads the next value as far as it goes, and tells whether it was whole.
func (p partial) value(depth int) (value any, whole bool) {
	token, err := p.Token()
	if err != nil {
		return nil, false
	}
	switch token := token.(type) {
	case json.Delim:
		switch {
		case depth >= deepest:
			return nil, p.skip()
		case token == '{':
			return p.object(depth)
		default:
			return p.list(depth)
		}
	case json.Number: // whole only where something ends it
		return token, p.InputOffset() < p.size
	}
	return token, true
}

func (p partial) object(depth int) (object map[string]any, whole bool) {
	object = map[string]any{}
	for p.More() {
		name, err := p.Token()
		key, isText := name.(string)
		if err != nil || !isText {
			return object, false
		}
		member, whole := p.value(depth + 1)
		if _, isNumber := member.(json.Number); member != nil && (whole || !isNumber) {
			object[key] = member
		}
		if !whole {
			return object, false
		}
	}
	_, err := p.Token()
	return object, err == nil
}

func (p partial) list(depth int) (list []any, whole bool) {
	list = []any{}
	for p.More() {
		element, whole := p.value(depth + 1)
		if list = append(list, element); !whole {
			return list, false
		}
	}
	_, err := p.Token()
	return list, err == nil
}

// skip reads to the end of a value that has begun, and tells whether it has one.
func (p partial) skip() bool {
	for open := 1; open > 0; {
		token, err := p.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return true
}

// plain turns what encoding/json decoded into plain numbers and strings.
func plain(value any, escaped bool) any {
	switch value := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(value))
		for key, member := range value {
			if escaped {
				key = string(restoreInvalid([]byte(key)))
			}
			result[key] = plain(member, escaped)
		}
		return result
	case []any:
		for i := range value {
			value[i] = plain(value[i], escaped)
		}
		return value
	case json.Number:
		return number(value.String())
	case string:
		if escaped {
			return string(restoreInvalid([]byte(value)))
		}
		return value
	}
	return value
}

func number(text string) any {
	if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
		return integer
	}
	if isInteger(text) {
		return text
	}
	if float, err := strconv.ParseFloat(text, 64); err == nil {
		return float
	}
	return text
}

func isInteger(text string) bool {
	for i, r := range text {
		if (r < '0' || r > '9') && (i > 0 || r != '-') {
			return false
		}
	}
	return true
}

// EncodeJSON writes a value as Value gives it: members sorted, no HTML escaping,
// strings byte for byte, bytes as base64, a timestamp in RFC 3339, a duration in
// seconds as in "3.5s". json.Number and json.RawMessage are written as they are.
func EncodeJSON(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(encodable(value)); err != nil {
		return nil, safeError("a value cannot be written as JSON")
	}
	return restoreInvalid(bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))), nil
}

func encodable(value any) any {
	switch value := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(value))
		for key, member := range value {
			result[string(escapeInvalid([]byte(key)))] = encodable(member)
		}
		return result
	case []any:
		result := make([]any, len(value))
		for i := range value {
			result[i] = encodable(value[i])
		}
		return result
	case string:
		return string(escapeInvalid([]byte(value)))
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < 1e21 {
			return json.Number(strconv.FormatFloat(value, 'f', -1, 64))
		}
	case time.Time, time.Duration:
		text, _ := textOf(value)
		return text
	}
	return value
}

func decoded(text []byte) ref.Val {
	value, rest, err := DecodeJSON(text)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return types.WrapErr(safeError("a value is not JSON"))
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

func encoded(value ref.Val) ref.Val {
	text, err := jsonOf(value)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(text)
}

func jsonOf(value ref.Val) ([]byte, error) {
	plain, _, err := native(value)
	if err != nil {
		return nil, err
	}
	return EncodeJSON(plain)
}

// encoding/json replaces bytes that are not UTF-8. A token must be kept byte for
// byte, so such bytes travel through it as characters of a private use area:
// byte b as escapeBase + b. Where a text holds these characters itself, their
// bytes are escaped too, which makes the mapping exact both ways.
const escapeBase = 0x10FF00

func escapeInvalid(text []byte) []byte {
	if !needsEscape(text) {
		return text
	}
	result := make([]byte, 0, len(text)+16)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if (r == utf8.RuneError && size == 1) || r >= escapeBase {
			for _, b := range text[:size] {
				result = utf8.AppendRune(result, escapeBase+rune(b))
			}
		} else {
			result = append(result, text[:size]...)
		}
		text = text[size:]
	}
	return result
}

func restoreInvalid(text []byte) []byte {
	if !needsEscape(text) {
		return text
	}
	result := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r >= escapeBase && size > 1 {
			result = append(result, byte(r-escapeBase)) //nolint:gosec // at most 0xff, by the check above
		} else {
			result = append(result, text[:size]...)
		}
		text = text[size:]
	}
	return result
}

// needsEscape tells whether a text holds invalid bytes or escape characters,
// which begin with F4 8F BC or above.
func needsEscape(text []byte) bool {
	return !utf8.Valid(text) || bytes.Contains(text, []byte{0xF4, 0x8F})
}
