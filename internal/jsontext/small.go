// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"encoding/json"
)

// decodeSmall decodes as Decode does, at a third of the cost, what is certain to be
// within its bounds: nearly every reply is. ok is false for all else, and for
// what is no JSON.
func decodeSmall(text []byte) (value any, rest []byte, ok bool) {
	if needsEscape(text) || !isSmall(text) {
		return nil, nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, nil, false
	}
	return numbers(value), text[decoder.InputOffset():], true
}

// isSmall reports whether a text is within MaxValues and MaxDepth, whatever it
// says: a value stands at the beginning or behind one of these characters.
func isSmall(text []byte) bool {
	opened, separators := 0, 0
	for _, c := range text {
		switch c {
		case '{', '[':
			opened++
		case ',', ':':
			separators++
		}
	}
	return opened <= MaxDepth && 1+opened+separators <= MaxValues
}

// numbers turns each json.Number in a value into what Decode gives for it.
func numbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		return number(value.String())
	case map[string]any:
		for name, member := range value {
			switch member.(type) {
			case json.Number, map[string]any, []any:
				value[name] = numbers(member)
			}
		}
	case []any:
		for i := range value {
			value[i] = numbers(value[i])
		}
	}
	return value
}
