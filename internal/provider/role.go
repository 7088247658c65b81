// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/pause"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// role is what a call is for, which decides what its reply has to bring.
type role int

const (
	grants     role = iota // refresh and login: an access token
	prepares               // before them: outputs for the calls after it
	finishes               // after them: another access token, outputs or both
	revokes                // at the end: nothing
	authorizes             // a person's grant: an access token, a refresh token or both
)

// isComplete reports whether a reply that counts as success brings what its call is for.
func (r *reader) isComplete(grant token.Grant) bool {
	switch r.call.role {
	case prepares:
		return len(grant.Outputs) > 0
	case finishes:
		if r.call.response.accessToken == nil {
			return len(grant.Outputs) > 0
		}
	case revokes:
		return true
	case authorizes:
		return !grant.AccessToken.IsZero() || !grant.RefreshToken.IsZero()
	case grants:
	}
	return !grant.AccessToken.IsZero()
}

// wanted names what the reply should have brought.
func (r *reader) wanted() string {
	switch {
	case r.call.role == prepares, r.call.role == finishes && r.call.response.accessToken == nil:
		return "any of the outputs that it is asked for"
	case r.call.role == authorizes:
		return "a token"
	}
	return "an access token"
}

// unknown is what a reply means that nothing explains. A call that cannot have spent
// anything is simply made again.
func (c *Call) unknown() string {
	if c.role == prepares || c.role == finishes || c.role == revokes {
		return v1alpha1.ProviderUnavailableReason
	}
	return v1alpha1.OutcomeUnknownReason
}

// conclude adds what depends on what the reply means: how long to wait, whether to send
// again, and what of the grant is the call's to give.
func (r *reader) conclude(outcome *Outcome) {
	if value, ok := r.value(r.call.response.retryAfter); ok {
		outcome.RetryAfter = max(outcome.RetryAfter, pause.Of(value, r.exchange.now))
	} else if outcome.Reason == v1alpha1.RateLimitedReason && outcome.RetryAfter == 0 {
		outcome.RetryAfter = pause.Limited(r.header, r.variables[bodyVariable], r.exchange.now)
	}
	if outcome.Reason == string(v1alpha1.SendAgain) {
		r.sendAgain(outcome)
	}
	outcome.Grant = r.call.share(outcome.Grant)
}

// share is what of a grant is the call's to give. The end of a token is zero where the
// reply states none and none can be assumed.
func (c *Call) share(grant token.Grant) token.Grant {
	switch c.role {
	case prepares:
		grant = token.Grant{Token: token.Token{Outputs: grant.Outputs, Validity: grant.Validity}}
	case finishes:
		grant.RefreshToken, grant.RefreshTokenExpiresAt = secret.Text{}, time.Time{}
		if grant.AccessToken.IsZero() {
			grant.Type = ""
		}
	case revokes:
		return token.Grant{}
	default:
		return grant
	}
	if !grant.ExpiresAt.After(grant.IssuedAt) {
		grant.ExpiresAt = time.Time{}
	}
	return grant
}
