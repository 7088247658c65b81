// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"unicode/utf8"
)

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
