// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package response says how a reply is read, as it was compiled: where it holds what, and
// which refusals it knows. It reads none.
package response

import (
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// Response says how a reply is read; a nil expression is absent.
type Response struct {
	Prefix                string
	Format                v1alpha1.ResponseFormat
	Success               *expression.Expression
	AccessToken           *expression.Expression
	RefreshToken          *expression.Expression
	TokenType             *expression.Expression
	ExpiresIn             *expression.Expression
	ExpiresAt             *expression.Expression
	RefreshTokenExpiresIn *expression.Expression
	RefreshTokenExpiresAt *expression.Expression
	Outputs               map[string]*expression.Expression
	Failures              []Failure
	StandardFailures      bool // whether the standard ones follow
	RetryAfter            *expression.Expression
	Message               *expression.Expression
}

// Failure is a rule that says what a reply means.
type Failure struct {
	When   *expression.Expression
	Reason string
	// Outputs are for the call that is sent again.
	Outputs map[string]*expression.Expression
}

// Parts lists the expressions of the response.
func (r *Response) Parts() []variable.Part {
	all := []*expression.Expression{
		r.Success, r.AccessToken, r.RefreshToken, r.TokenType, r.ExpiresIn, r.ExpiresAt,
		r.RefreshTokenExpiresIn, r.RefreshTokenExpiresAt, r.RetryAfter, r.Message,
	}
	for _, output := range r.Outputs {
		all = append(all, output)
	}
	for _, failure := range r.Failures {
		all = append(all, failure.When)
		for _, output := range failure.Outputs {
			all = append(all, output)
		}
	}
	var parts []variable.Part
	for _, each := range all {
		if each != nil {
			parts = append(parts, each)
		}
	}
	return parts
}

// MayHoldToken reports whether a token, or how long it lives, may be in this member of the
// body.
func (r *Response) MayHoldToken(name string) bool {
	for _, field := range []*expression.Expression{
		r.RefreshToken, r.AccessToken, r.TokenType, r.ExpiresIn, r.ExpiresAt, r.RefreshTokenExpiresIn, r.RefreshTokenExpiresAt,
	} {
		if field == nil {
			continue
		}
		if fields, whole := field.Fields(variable.Body); whole || slices.Contains(fields, strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}
