// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jsontext reads and writes JSON that holds tokens: it keeps strings byte for
// byte and integers to the digit, and reads what a stranger wrote within bounds.
package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxValues is how many values (objects, lists, texts, numbers and the rest, at
	// all depths) a JSON text may hold. A reply with a token has a few dozen; an object
	// takes some hundred bytes in memory for the seven that it takes in the text.
	MaxValues = 5_000

	// MaxDepth is how deep JSON may be nested; a reply with a token has two or
	// three levels.
	MaxDepth = 32
)

var (
	errNotJSON  = errors.New("it is not JSON")
	errTooMany  = errors.New("it holds more than 5000 values")
	errTooDeep  = errors.New("it is nested more than 32 deep")
	errNotWhole = errors.New("it is cut short")
)

// IsTooLarge reports whether an error says that JSON has too many values or is nested
// too deep.
func IsTooLarge(err error) bool { return errors.Is(err, errTooMany) || errors.Is(err, errTooDeep) }

// Decode reads the first JSON value of a text; rest is what follows it. An
// integer is an int64, one beyond int64 its digits as a string, another number a
// float64. Strings keep their bytes, valid UTF-8 or not. It reads one token after the
// other, and stops where there are more than MaxValues or MaxDepth. The error
// quotes nothing.
func Decode(text []byte) (value any, rest []byte, err error) {
	r, source := newReader(text)
	value, err = r.value(0)
	switch {
	case IsTooLarge(err):
		return nil, nil, err
	case err != nil:
		return nil, nil, errNotJSON
	}
	rest = source[r.InputOffset():]
	if r.escaped {
		rest = restoreInvalid(rest)
	}
	return value, rest, nil
}

// DecodePartial reads what a text holds of a JSON value that it begins with, up to
// where the text is cut short or broken. Of an object at the outside, the members that
// wanted names are read; nil wants all. A string or a number that is not whole is left
// out, and so is what has too many values or is nested too deep; nil where nothing is
// left.
func DecodePartial(text []byte, wanted func(name string) bool) any {
	r, _ := newReader(text)
	r.lenient, r.wanted = true, wanted
	value, _ := r.value(0)
	return value
}

// reader reads values token by token, so that it may stop anywhere.
type reader struct {
	*json.Decoder
	size    int64
	escaped bool
	values  int // read so far, of those that are kept

	// lenient keeps what can be read, and leaves out what is too large.
	lenient bool
	wanted  func(name string) bool
}

func newReader(text []byte) (r *reader, source []byte) {
	escaped := !utf8.Valid(text)
	if escaped {
		text = escapeInvalid(text)
	}
	r = &reader{Decoder: json.NewDecoder(bytes.NewReader(text)), size: int64(len(text)), escaped: escaped}
	r.UseNumber()
	return r, text
}

// value reads the next value. An error says that it is not whole, or too large; what
// could be read of it comes along.
func (r *reader) value(depth int) (any, error) {
	token, err := r.Token()
	if err != nil {
		return nil, err
	}
	if r.values++; r.values > MaxValues && !r.lenient {
		return nil, errTooMany
	}
	switch token := token.(type) {
	case json.Delim:
		return r.container(token, depth)
	case json.Number:
		if r.lenient && r.InputOffset() >= r.size { // more digits may have followed
			return nil, errNotWhole
		}
		return number(token.String()), nil
	case string:
		return r.text(token), nil
	}
	return token, nil
}

// container reads an object or a list that has begun. Where it is too large, lenient
// reading goes on behind it.
func (r *reader) container(opening json.Delim, depth int) (value any, err error) {
	before := r.values
	switch {
	case depth >= MaxDepth:
		err = errTooDeep
	case opening == '{':
		value, err = r.object(depth)
	default:
		value, err = r.list(depth)
	}
	if r.lenient && IsTooLarge(err) {
		r.values = before
		return nil, r.skip()
	}
	return value, err
}

func (r *reader) object(depth int) (map[string]any, error) {
	object := map[string]any{}
	for r.More() {
		name, err := r.Token()
		key, isText := name.(string)
		if err != nil || !isText {
			return object, errNotJSON
		}
		key = r.text(key)
		if depth == 0 && r.wanted != nil && !r.wanted(key) {
			if err := r.skipValue(); err != nil {
				return object, err
			}
			continue
		}
		member, err := r.value(depth + 1)
		if err == nil || member != nil {
			object[key] = member
		}
		if err == nil && r.values > MaxValues {
			err = errTooMany
		}
		if err != nil {
			return object, err
		}
	}
	_, err := r.Token()
	return object, err
}

func (r *reader) list(depth int) ([]any, error) {
	list := []any{}
	for r.More() {
		element, err := r.value(depth + 1)
		if err == nil && r.values > MaxValues {
			err = errTooMany
		}
		if list = append(list, element); err != nil {
			return list, err
		}
	}
	_, err := r.Token()
	return list, err
}

// skipValue reads past the next value.
func (r *reader) skipValue() error {
	token, err := r.Token()
	if err != nil || token != json.Delim('{') && token != json.Delim('[') {
		return err
	}
	return r.skip()
}

// skip reads to the end of a value that has begun.
func (r *reader) skip() error {
	for open := 1; open > 0; {
		token, err := r.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return nil
}

func (r *reader) text(token string) string {
	if r.escaped {
		return string(restoreInvalid([]byte(token)))
	}
	return token
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
