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
	string(v1alpha1.SendAgain),
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
		retryAfter:            optional("retryAfter", spec.RetryAfter, e.Lifetime),
	}
	if r.format == "" {
		r.format = v1alpha1.FormatAuto
	}
	if !slices.Contains([]v1alpha1.ResponseFormat{v1alpha1.FormatAuto, v1alpha1.FormatJSON, v1alpha1.FormatForm}, r.format) {
		c.problem(field+".format", "write Auto, JSON or Form")
	}
	c.checkBrings(field, spec)
	if spec.AccessToken != "" {
		r.accessToken = c.expression(field+".accessToken", spec.AccessToken, e.Scalar)
	}
	if r.tokenType == nil && c.role != prepares && c.role != revokes {
		r.tokenType = c.expression(field+".tokenType", "body.token_type", e.Scalar)
	}
	r.outputs = c.outputs(field+".outputs", spec.Outputs)
	switch spec.StandardFailures {
	case "", v1alpha1.OAuth2Failures:
		r.standardFailures = spec.StandardFailures != ""
	default:
		c.problem(field+".standardFailures", "write OAuth2, or leave it out")
	}
	for i, rule := range spec.Failures {
		r.failures = append(r.failures, c.failure(fmt.Sprintf("%s.failures[%d]", field, i), rule))
	}
	return r
}

func (c *compiler) outputs(field string, spec map[string]v1alpha1.Expression) map[string]*expression.Expression {
	compiled := make(map[string]*expression.Expression, len(spec))
	for _, name := range slices.Sorted(maps.Keys(spec)) {
		path := field + "." + name
		switch {
		case name == "refresh_token":
			c.problem(path, "a refresh token never goes to the target: map it with refreshToken")
		case !outputName.MatchString(name):
			c.problem(path, "an output becomes a key of the target: its name may hold %d letters, digits, '-', '_' and '.'", maxName)
		}
		compiled[name] = c.expression(path, spec[name], c.responses.Expression)
	}
	return compiled
}

// maxAgain is how many outputs a failure rule may have, as in the API's schema.
const maxAgain = 8

func (c *compiler) failure(field string, spec v1alpha1.FailureRule) failure {
	switch {
	case !slices.Contains(failureReasons, string(spec.Reason)):
		c.problem(field+".reason", "write ReauthorizationRequired, AppRejected, RequestRejected, RateLimited, ProviderUnavailable or SendAgain")
	case spec.Reason != v1alpha1.SendAgain && len(spec.Outputs) > 0:
		c.problem(field+".outputs", "they are for the call that is sent again: write reason SendAgain, or leave outputs out")
	case len(spec.Outputs) > maxAgain:
		c.problem(field+".outputs", "it has %d outputs, of at most %d", len(spec.Outputs), maxAgain)
	}
	return failure{
		when:    c.expression(field+".when", spec.When, c.responses.Condition),
		reason:  string(spec.Reason),
		outputs: c.outputs(field+".outputs", spec.Outputs),
	}
}

func (c *compiler) expression(field string, source v1alpha1.Expression, compile compileFunc) *expression.Expression {
	compiled, err := compile(field, string(source))
	c.failed(err)
	return compiled
}
