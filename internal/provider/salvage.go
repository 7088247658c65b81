// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/body"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// source is the body of a reply, and how it is to be read.
func (e *Exchange) source(reply Reply) body.Source {
	return body.Source{
		Bytes: reply.Body, CutShort: reply.CutShort, Flaw: reply.Flaw,
		Prefix: e.call.Response.Prefix, Format: e.call.Response.Format,
	}
}

// holdsToken reports whether a value of the body holds a token of its own.
func (e *Exchange) holdsToken(reply Reply, value any) bool {
	r := e.reader(reply, value)
	for _, field := range []*expression.Expression{e.call.Response.AccessToken, e.call.Response.RefreshToken} {
		if field == nil || !field.Uses(variable.Body) {
			continue
		}
		if text, ok := r.variables.text(field); ok && text != "" {
			return true
		}
	}
	return false
}

// salvage finds the tokens in a reply that cannot be read as a whole: one that was cut
// short, or is broken, too deep or holds too much. What is there to its end is taken, and
// proves nothing of what else the reply said: it stays a failure.
func (e *Exchange) salvage(reply Reply, why error, outcome *Outcome) {
	for remains := range e.source(reply).Remains(e.call.Response.MayHoldToken) {
		found := Outcome{}
		e.reader(reply, remains).readGrant(&found)
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
