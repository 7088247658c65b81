// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package body

import (
	"bytes"

	"golang.org/x/text/encoding/unicode"
)

// byteOrderMark may stand before a body in UTF-8.
var byteOrderMark = []byte("\ufeff")

// stripped is a body without its prefix, and without what stands around it.
func stripped(body []byte, prefix string) []byte {
	body = trim(fromUTF16(body))
	if prefix == "" {
		return body
	}
	return trim(bytes.TrimPrefix(body, []byte(prefix)))
}

func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
}

// fromUTF16 turns a body in UTF-16 into UTF-8. Its byte order mark tells, or else the zeros
// in one half of its first characters: what holds tokens begins with some of ASCII (RFC
// 4627 section 3).
func fromUTF16(body []byte) []byte {
	if len(body) < 4 || len(body)%2 != 0 {
		return body
	}
	order, mark := unicode.BigEndian, unicode.ExpectBOM
	switch {
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), bytes.HasPrefix(body, []byte{0xfe, 0xff}):
	case body[0] == 0 && body[1] != 0 && body[2] == 0 && body[3] != 0:
		mark = unicode.IgnoreBOM
	case body[0] != 0 && body[1] == 0 && body[2] != 0 && body[3] == 0:
		order, mark = unicode.LittleEndian, unicode.IgnoreBOM
	default:
		return body
	}
	plain, err := unicode.UTF16(order, mark).NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return plain
}
