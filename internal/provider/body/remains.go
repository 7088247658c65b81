// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package body

import (
	"bytes"
	"iter"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// Remains are what can be read of a body that cannot be read as a whole, from each place
// where JSON may begin, of the members that tokens may be in; then as a form. The last value
// of a form that was cut short may be half of one: nothing shows where it ends.
func (s Source) Remains(mayHoldToken func(name string) bool) iter.Seq[any] {
	return func(yield func(any) bool) {
		body := stripped(s.Bytes, s.Prefix)
		text, tried := body, 0
		for range maxCandidates {
			at := opening.FindIndex(text)
			if at == nil || tried > maxTried {
				break
			}
			text = text[at[0]:]
			tried += len(text)
			mended, _ := jsontext.Mend(text)
			if !yield(trimKeys(jsontext.DecodePartial(mended, mayHoldToken))) {
				return
			}
			text = text[1:]
		}
		if s.CutShort {
			body = body[:max(0, bytes.LastIndexByte(body, '&'))]
		}
		if len(body) > 0 && looksLikeForm(body) {
			yield(pairsOf(string(body), mayHoldToken))
		}
	}
}
