// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// salvage finds a refresh token in a reply that cannot be read as a whole: one
// that was cut short, or is broken, too deep or holds too much. That token alone is
// taken, and only where it is there to its end: nothing else of such a reply counts.
func (e *Exchange) salvage(reply Reply, outcome *Outcome) {
	body := e.remains(reply)
	if body == nil {
		return
	}
	r := e.reader(reply, body)
	text, ok := r.text(e.call.response.refreshToken)
	if !ok || text == "" {
		return
	}
	r.takeRefreshToken(text, outcome)
	if kept := outcome.Grant.RefreshToken; !kept.IsZero() {
		outcome.Grant = token.Grant{RefreshToken: kept}
		outcome.Message = "the provider's reply could not be read as a whole; the refresh token in it is kept"
	}
}

// remains is what can be read of a body, of the members that the refresh token may be
// in; nil: nothing. Where a value of a form ends is known of a whole one alone.
func (e *Exchange) remains(reply Reply) any {
	if start := bytes.IndexByte(reply.Body, '{'); start >= 0 {
		return trimKeys(jsontext.DecodePartial(reply.Body[start:], e.call.response.mayHoldRefreshToken))
	}
	body := stripped(reply.Body, e.call.response.prefix)
	if reply.CutShort || !looksLikeForm(body) {
		return nil
	}
	return pairsOf(string(body), e.call.response.mayHoldRefreshToken)
}

// mayHoldRefreshToken reports whether the refresh token may be in this member of the
// body.
func (r *response) mayHoldRefreshToken(name string) bool {
	if r.refreshToken == nil {
		return false
	}
	fields, whole := r.refreshToken.Fields(bodyVariable)
	return whole || slices.Contains(fields, strings.TrimSpace(name))
}
