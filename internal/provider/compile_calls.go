// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
)

// maxSteps is how many calls prepare and finish may have each, as in the API's schema.
const maxSteps = 4

// prepare compiles the calls before a refresh or a login. What one gives is known to
// those after it.
func (c *compiler) prepare() []*Call {
	c.checkSteps("spec.prepare", c.spec.Prepare)
	var calls []*Call
	for i, spec := range c.spec.Prepare {
		calls = append(calls, c.step(prepares, fmt.Sprintf("spec.prepare[%d]", i), spec, lifetime.Assumed{}))
		c.prepared = slices.AppendSeq(c.prepared, maps.Keys(spec.Response.Outputs))
	}
	return calls
}

// finish compiles the calls after a refresh or a login.
func (c *compiler) finish(from lifetime.Assumed) []*Call {
	c.checkSteps("spec.finish", c.spec.Finish)
	var calls []*Call
	for i, spec := range c.spec.Finish {
		assumed := from
		if spec.Response.AccessToken == "" {
			assumed = lifetime.Assumed{} // the token that is there lives on as it did
		}
		calls = append(calls, c.step(finishes, fmt.Sprintf("spec.finish[%d]", i), spec, assumed))
	}
	return calls
}

func (c *compiler) checkSteps(field string, calls []v1alpha1.ProviderCall) {
	if len(calls) > maxSteps {
		c.problem(field, "it has %d calls, of at most %d", len(calls), maxSteps)
	}
}

// revoke compiles the call that ends a grant.
func (c *compiler) revoke() *Call {
	if c.spec.Revoke == nil {
		return nil
	}
	return c.step(revokes, "spec.revoke", *c.spec.Revoke, lifetime.Assumed{})
}

// checkBrings refuses a response that does not read what its call is for, and fields that
// its call has no use for.
func (c *compiler) checkBrings(field string, spec v1alpha1.ProviderResponse) {
	const anyToken = "say where the reply holds the tokens: refreshToken, such as body.?refresh_token, accessToken or both"
	switch {
	case c.role == grants && spec.AccessToken == "":
		c.problem(field+".accessToken", "say where the reply holds the access token, such as body.access_token")
	case c.role == prepares && len(spec.Outputs) == 0:
		c.problem(field+".outputs", "say what the call is for, such as {app_token: body.app_access_token}")
	case c.role == finishes && spec.AccessToken == "" && len(spec.Outputs) == 0:
		c.problem(field, "say what the call brings: accessToken, such as body.access_token, outputs or both")
	case c.role == authorizes && spec.AccessToken == "" && spec.RefreshToken == "":
		c.problem(field, anyToken)
	}
	why := map[role]string{
		prepares: "leave it out: a call of prepare brings outputs alone",
		finishes: "leave it out: the refresh token has been saved before, so map it in refresh or login",
		revokes:  "leave it out: after revoke nothing is kept",
	}[c.role]
	for _, each := range []struct {
		name    string
		isSet   bool
		useless []role // of calls to which the field means nothing
	}{
		{"accessToken", spec.AccessToken != "", []role{prepares, revokes}},
		{"refreshToken", spec.RefreshToken != "", []role{prepares, finishes, revokes}},
		{"tokenType", spec.TokenType != "", []role{prepares, revokes}},
		{"expiresIn", spec.ExpiresIn != "", []role{revokes}},
		{"expiresAt", spec.ExpiresAt != "", []role{revokes}},
		{"refreshTokenExpiresIn", spec.RefreshTokenExpiresIn != "", []role{prepares, finishes, revokes}},
		{"refreshTokenExpiresAt", spec.RefreshTokenExpiresAt != "", []role{prepares, finishes, revokes}},
		{"outputs", len(spec.Outputs) > 0, []role{revokes}},
	} {
		if each.isSet && slices.Contains(each.useless, c.role) {
			c.problem(field+"."+each.name, "%s", why)
		}
	}
}
