// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import "github.com/tokenkeeper/tokenkeeper/internal/expression"

// uses tells whether any expression of the call names a variable.
func (c *Call) uses(variable string) bool {
	return c.request.uses(variable) || c.response.uses(variable)
}

func (r *response) uses(variable string) bool {
	used := func(x *expression.Expression) bool { return x != nil && x.Uses(variable) }
	for _, output := range r.outputs {
		if used(output) {
			return true
		}
	}
	for _, failure := range r.failures {
		if used(failure.when) {
			return true
		}
	}
	for _, x := range []*expression.Expression{
		r.success, r.accessToken, r.refreshToken, r.tokenType, r.expiresIn, r.expiresAt,
		r.refreshTokenExpiresIn, r.refreshTokenExpiresAt, r.message,
	} {
		if used(x) {
			return true
		}
	}
	return false
}
