// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// outputName is what a key of a Secret may be, no longer than other names.
var outputName = regexp.MustCompile(fmt.Sprintf(`^[-._a-zA-Z0-9]{1,%d}$`, maxName))

// failureReasons are what a rule may conclude.
var failureReasons = []string{
	v1alpha1.ReauthorizationRequiredReason, v1alpha1.AppRejectedReason, v1alpha1.RequestRejectedReason,
	v1alpha1.RateLimitedReason, v1alpha1.ProviderUnavailableReason,
}

// compileFunc is one of the environment's ways to compile an expression.
type compileFunc func(field, source string) (*expression.Expression, error)

// response compiles how a reply is read.
func (c *compiler) response(field string, spec v1alpha1.ProviderResponse) response {
	optional := func(name string, source v1alpha1.Expression, compile compileFunc) *expression.Expression {
		if source == "" {
			return nil
		}
		return c.expression(field+"."+name, source, compile)
	}
	e := c.responses
	r := response{
		prefix:                spec.Prefix,
		format:                spec.Format,
		success:               optional("success", spec.Success, e.Condition),
		refreshToken:          optional("refreshToken", spec.RefreshToken, e.Scalar),
		tokenType:             optional("tokenType", spec.TokenType, e.Scalar),
		expiresIn:             optional("expiresIn", spec.ExpiresIn, e.Lifetime),
		expiresAt:             optional("expiresAt", spec.ExpiresAt, e.Lifetime),
		refreshTokenExpiresIn: optional("refreshTokenExpiresIn", spec.RefreshTokenExpiresIn, e.Lifetime),
		refreshTokenExpiresAt: optional("refreshTokenExpiresAt", spec.RefreshTokenExpiresAt, e.Lifetime),
		message:               optional("message", spec.Message, e.Expression),
		outputs:               map[string]*expression.Expression{},
	}
	if r.format == "" {
		r.format = v1alpha1.FormatAuto
	}
	if !slices.Contains([]v1alpha1.ResponseFormat{v1alpha1.FormatAuto, v1alpha1.FormatJSON, v1alpha1.FormatForm}, r.format) {
		c.problem(field+".format", "write Auto, JSON or Form")
	}
	if spec.AccessToken == "" {
		c.problem(field+".accessToken", "say where the reply holds the access token, such as body.access_token")
	} else {
		r.accessToken = c.expression(field+".accessToken", spec.AccessToken, e.Scalar)
	}
	if r.tokenType == nil {
		r.tokenType = c.expression(field+".tokenType", "body.token_type", e.Scalar)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Outputs)) {
		path := field + ".outputs." + name
		switch {
		case name == "refresh_token":
			c.problem(path, "a refresh token never goes to the target: map it with refreshToken")
		case !outputName.MatchString(name):
			c.problem(path, "an output becomes a key of the target: its name may hold %d letters, digits, '-', '_' and '.'", maxName)
		}
		r.outputs[name] = c.expression(path, spec.Outputs[name], e.Expression)
	}
	for i, rule := range spec.Failures {
		path := fmt.Sprintf("%s.failures[%d]", field, i)
		if !slices.Contains(failureReasons, string(rule.Reason)) {
			c.problem(path+".reason", "write ReauthorizationRequired, AppRejected, RequestRejected, RateLimited or ProviderUnavailable")
		}
		r.failures = append(r.failures, failure{when: c.expression(path+".when", rule.When, e.Condition), reason: string(rule.Reason)})
	}
	return r
}

func (c *compiler) expression(field string, source v1alpha1.Expression, compile compileFunc) *expression.Expression {
	compiled, err := compile(field, string(source))
	c.failed(err)
	return compiled
}
