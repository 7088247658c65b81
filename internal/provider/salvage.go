// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// salvage finds the tokens in a reply that cannot be read as a whole: one that was cut
// short, or is broken, too deep or holds too much. What is there to its end is taken, and
// proves nothing of what else the reply said: it stays a failure.
func (e *Exchange) salvage(reply Reply, why error, outcome *Outcome) {
	for body := range e.remains(reply) {
		found := Outcome{}
		e.reader(reply, body).readGrant(&found)
		found.Grant.Outputs = nil // half of them would be taken for all
		hasAccess, hasRefresh := !found.Grant.AccessToken.IsZero(), !found.Grant.RefreshToken.IsZero()
		if !hasAccess {
			found.Grant.Token = token.Token{}
		}
		if !hasAccess && !hasRefresh && found.UnkeptRefreshToken == 0 {
			continue
		}
		outcome.Grant, outcome.UnkeptRefreshToken, outcome.Remark = found.Grant, found.UnkeptRefreshToken, found.Remark
		switch {
		case hasRefresh:
			outcome.Message = "the provider's reply could not be read as a whole; the refresh token in it is kept"
		case hasAccess:
			outcome.Message = "the provider's reply could not be read as a whole; it holds an access token"
		}
		if why != nil && (hasRefresh || hasAccess) {
			outcome.Message += fmt.Sprintf(" (%v)", why)
		}
		return
	}
}

// remains are what can be read of a body, from each place where JSON may begin, of the
// members that tokens may be in; then as a form. The last value of a form that was cut
// short may be half of one: nothing shows where it ends.
func (e *Exchange) remains(reply Reply) iter.Seq[any] {
	return func(yield func(any) bool) {
		body := stripped(reply.Body, e.call.response.prefix)
		text, tried := body, 0
		for range maxCandidates {
			at := opening.FindIndex(text)
			if at == nil || tried > maxTried {
				break
			}
			text = text[at[0]:]
			tried += len(text)
			mended, _ := jsontext.Mend(text)
			if !yield(trimKeys(jsontext.DecodePartial(mended, e.call.response.mayHoldToken))) {
				return
			}
			text = text[1:]
		}
		if reply.CutShort {
			body = body[:max(0, bytes.LastIndexByte(body, '&'))]
		}
		if len(body) > 0 && looksLikeForm(body) {
			yield(pairsOf(string(body), e.call.response.mayHoldToken))
		}
	}
}

// mayHoldToken reports whether a token, or how long it lives, may be in this member of the
// body.
func (r *response) mayHoldToken(name string) bool {
	for _, field := range []*expression.Expression{
		r.refreshToken, r.accessToken, r.tokenType, r.expiresIn, r.expiresAt, r.refreshTokenExpiresIn, r.refreshTokenExpiresAt,
	} {
		if field == nil {
			continue
		}
		if fields, whole := field.Fields(bodyVariable); whole || slices.Contains(fields, strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}
