// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/request"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/response"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Call is one compiled call.
type Call struct {
	Role      Role
	Request   request.Request
	Response  response.Response
	Lifetimes lifetime.Assumed // where a reply states none
	// MaySpend is true for a refresh that may spend its token, where a reply that
	// says nothing must not pass for one that spent nothing.
	MaySpend bool
}

// Role is what a call is for, which decides what its reply has to bring.
type Role int

// The roles of calls.
const (
	Grants     Role = iota // refresh and login: an access token
	Prepares               // before them: outputs for the calls after it
	Finishes               // after them: another access token, outputs or both
	Revokes                // at the end: nothing
	Authorizes             // a person's grant: an access token, a refresh token or both
)

// ExtendsToken reports whether the call may extend the access token that is there, and
// says so: its description names that one as what the reply brings.
func (c *Call) ExtendsToken() bool {
	return c.Response.AccessToken != nil && c.Response.AccessToken.Uses(variable.AccessToken)
}

// HostFromReply reports whether the last reply has a say in which host is called (its
// outputs decide it). Else the parameters alone do: the compiler allows nothing more.
func (c *Call) HostFromReply() bool { return c.Request.HostFromReply }

// Parts lists the templates and the expressions of the call.
func (c *Call) Parts() []variable.Part { return append(c.Request.Parts(), c.Response.Parts()...) }

// isComplete reports whether a reply that counts as success brings what its call is for.
func (c *Call) isComplete(grant token.Grant) bool {
	switch c.Role {
	case Prepares:
		return len(grant.Outputs) > 0
	case Finishes:
		if c.Response.AccessToken == nil {
			return len(grant.Outputs) > 0
		}
	case Revokes:
		return true
	case Authorizes:
		return !grant.AccessToken.IsZero() || !grant.RefreshToken.IsZero()
	case Grants:
	}
	return !grant.AccessToken.IsZero()
}

// wanted names what the reply should have brought.
func (c *Call) wanted() string {
	switch {
	case c.Role == Prepares, c.Role == Finishes && c.Response.AccessToken == nil:
		return "any of the outputs that it is asked for"
	case c.Role == Authorizes:
		return "a token"
	}
	return "an access token"
}

// unknown is what a reply means that nothing explains. A call that cannot have spent
// anything is simply made again.
func (c *Call) unknown() string {
	if c.Role == Prepares || c.Role == Finishes || c.Role == Revokes {
		return v1alpha1.ProviderUnavailableReason
	}
	return v1alpha1.OutcomeUnknownReason
}

// share is what of a grant is the call's to give. The end of a token is zero where the
// reply states none and none can be assumed.
func (c *Call) share(grant token.Grant) token.Grant {
	switch c.Role {
	case Prepares:
		grant = token.Grant{Token: token.Token{Outputs: grant.Outputs, Validity: grant.Validity}}
	case Finishes:
		grant.RefreshToken, grant.RefreshTokenExpiresAt = secret.Text{}, time.Time{}
		if grant.AccessToken.IsZero() {
			grant.Type = ""
		}
	case Revokes:
		return token.Grant{}
	default:
		return grant
	}
	if !grant.ExpiresAt.After(grant.IssuedAt) {
		grant.ExpiresAt = time.Time{}
	}
	return grant
}
