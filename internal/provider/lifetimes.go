// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// readLifetimes works out when the tokens expire. What a reply states and is of no use is
// remarked on; a token that the reply says has ended is not used.
func (r *reader) readLifetimes(outcome *Outcome) {
	response, grant, now := &r.call.Response, &outcome.Grant, r.exchange.now
	grant.IssuedAt = now
	access := r.stated("expiresAt", response.ExpiresAt, "expiresIn", response.ExpiresIn)
	outcome.EndIsKnown = access.Kind == lifetime.Life || access.Ignored || r.call.Lifetimes.Declared
	if access.Kind == lifetime.Nothing {
		access.Life = r.call.Lifetimes.Access
		if access.Remark != "" {
			access.Remark += fmt.Sprintf(", so %s is assumed", access.Life)
		}
	}
	if access.Kind == lifetime.End {
		r.unusable = "an access token that has ended already, as its " + access.Name + " says: see whether the clocks of the provider and of this cluster are right"
		grant.AccessToken, grant.Validity = secret.Text{}, token.Validity{}
	} else {
		grant.ExpiresAt = now.Add(access.Life)
	}

	refresh := r.refreshStated()
	switch {
	case refresh.Kind == lifetime.Life:
		if refresh.Life < token.ShortestRefresh {
			refresh.Remark = fmt.Sprintf("the refresh token is good for %s, which is too short to renew it in time: have the provider give it longer", refresh.Life)
		}
	case refresh.Kind == lifetime.End:
		refresh.Remark = fmt.Sprintf("the reply states an end of the refresh token (%s) that has passed, which is ignored", refresh.Name)
		refresh.Life = 0
	case refresh.IsZero: // servers state it of a token that does not end
		refresh.Remark, refresh.Ignored = "", false
	}
	if refresh.Life == 0 && !grant.RefreshToken.IsZero() {
		refresh.Life = r.call.Lifetimes.Refresh
	}
	if refresh.Life > 0 {
		grant.RefreshTokenExpiresAt = now.Add(refresh.Life)
	}
	outcome.LifetimeIgnored = access.Ignored || refresh.Ignored
	outcome.remark(access.Remark, refresh.Remark)
}

// refreshStated gives the lifetime that a reply states of its refresh token: where the
// description says, or else where servers commonly state it.
func (r *reader) refreshStated() lifetime.Stated {
	response := &r.call.Response
	switch {
	case response.RefreshTokenExpiresAt != nil || response.RefreshTokenExpiresIn != nil:
		return r.stated("refreshTokenExpiresAt", response.RefreshTokenExpiresAt, "refreshTokenExpiresIn", response.RefreshTokenExpiresIn)
	case r.call.Role == Grants:
		return lifetime.OfRefreshToken(r.variables[variable.Body], r.exchange.now)
	}
	return lifetime.Stated{}
}

// stated gives the lifetime that a field states as a moment, or else another as a span.
func (r *reader) stated(momentName string, moment *expression.Expression, spanName string, span *expression.Expression) lifetime.Stated {
	return lifetime.Of(r.variables, r.exchange.now,
		lifetime.Statement{Name: momentName, Field: moment, Read: lifetime.Until},
		lifetime.Statement{Name: spanName, Field: span, Read: lifetime.Within})
}
