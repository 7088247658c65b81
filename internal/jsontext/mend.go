// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"fmt"
)

// Mend gives a text in which what servers that write JSON by hand get wrong, and that can
// mean one thing alone, is put right: a control character as it is inside of a string, an
// escape that there is not (as in it\'s), a comma before a closing bracket. changed is
// false where there was nothing to mend.
func Mend(text []byte) (mended []byte, changed bool) {
	m := mender{text: text, mended: make([]byte, 0, len(text)+16)}
	for m.at < len(text) {
		switch {
		case m.inString:
			m.inside()
		default:
			m.outside()
		}
	}
	return m.mended, m.changed
}

// mender copies a text, and mends it on the way.
type mender struct {
	text, mended []byte
	at           int
	inString     bool
	changed      bool
}

// keep copies so many bytes as they are.
func (m *mender) keep(bytes int) {
	end := min(m.at+bytes, len(m.text))
	m.mended = append(m.mended, m.text[m.at:end]...)
	m.at = end
}

// skip leaves a byte out.
func (m *mender) skip() {
	m.at++
	m.changed = true
}

// outside mends the next byte between strings.
func (m *mender) outside() {
	switch m.text[m.at] {
	case '"':
		m.inString = true
	case ',':
		if next := bytes.TrimLeft(m.text[m.at+1:], " \t\r\n"); len(next) > 0 && (next[0] == '}' || next[0] == ']') {
			m.skip()
			return
		}
	}
	m.keep(1)
}

// inside mends the next byte of a string.
func (m *mender) inside() {
	switch next := m.text[m.at]; {
	case next == '"':
		m.inString = false
		m.keep(1)
	case next == '\\' && m.at+1 < len(m.text) && bytes.IndexByte([]byte(`"\/bfnrtu`), m.text[m.at+1]) < 0:
		m.skip()
	case next == '\\':
		m.keep(2)
	case next < ' ':
		m.mended = fmt.Appendf(m.mended, `\u%04x`, next)
		m.skip()
	default:
		m.keep(1)
	}
}
