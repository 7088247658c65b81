// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/parameters"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/response"
)

// outputName is what a key of a Secret may be, no longer than other names.
var outputName = regexp.MustCompile(fmt.Sprintf(`^[-._a-zA-Z0-9]{1,%d}$`, parameters.MaxName))

// failureReasons are what a rule may conclude.
var failureReasons = []string{
	v1alpha1.ReauthorizationRequiredReason, v1alpha1.AppRejectedReason, v1alpha1.RequestRejectedReason,
	v1alpha1.RateLimitedReason, v1alpha1.ProviderUnavailableReason,
	string(v1alpha1.SendAgain),
}

// compileFunc is one of the environment's ways to compile an expression.
type compileFunc func(field, source string) (*expression.Expression, error)

// responseCompiler compiles how the replies to one kind of call are read, in one scope.
type responseCompiler struct {
	*problems
	environment *expression.Environment
	role        provider.Role
}

// response compiles how a reply is read.
func (c *responseCompiler) response(field string, spec v1alpha1.ProviderResponse) response.Response {
	optional := func(name string, source v1alpha1.Expression, compile compileFunc) *expression.Expression {
		if source == "" {
			return nil
		}
		return c.expression(field+"."+name, source, compile)
	}
	e := c.environment
	r := response.Response{
		Prefix:                spec.Prefix,
		Format:                spec.Format,
		Success:               optional("success", spec.Success, e.Condition),
		RefreshToken:          optional("refreshToken", spec.RefreshToken, e.Scalar),
		TokenType:             optional("tokenType", spec.TokenType, e.Scalar),
		ExpiresIn:             optional("expiresIn", spec.ExpiresIn, e.Lifetime),
		ExpiresAt:             optional("expiresAt", spec.ExpiresAt, e.Lifetime),
		RefreshTokenExpiresIn: optional("refreshTokenExpiresIn", spec.RefreshTokenExpiresIn, e.Lifetime),
		RefreshTokenExpiresAt: optional("refreshTokenExpiresAt", spec.RefreshTokenExpiresAt, e.Lifetime),
		Message:               optional("message", spec.Message, e.Expression),
		RetryAfter:            optional("retryAfter", spec.RetryAfter, e.Lifetime),
	}
	if r.Format == "" {
		r.Format = v1alpha1.FormatAuto
	}
	if !slices.Contains([]v1alpha1.ResponseFormat{v1alpha1.FormatAuto, v1alpha1.FormatJSON, v1alpha1.FormatForm}, r.Format) {
		c.add(field+".format", "write Auto, JSON or Form")
	}
	c.checkBrings(field, spec)
	if spec.AccessToken != "" {
		r.AccessToken = c.expression(field+".accessToken", spec.AccessToken, e.Scalar)
	}
	if r.TokenType == nil && c.role != provider.Prepares && c.role != provider.Revokes {
		r.TokenType = c.expression(field+".tokenType", "body.token_type", e.Scalar)
	}
	r.Outputs = c.outputs(field+".outputs", spec.Outputs)
	switch spec.StandardFailures {
	case "", v1alpha1.OAuth2Failures:
		r.StandardFailures = spec.StandardFailures != ""
	default:
		c.add(field+".standardFailures", "write OAuth2, or leave it out")
	}
	for i, rule := range spec.Failures {
		r.Failures = append(r.Failures, c.failure(fmt.Sprintf("%s.failures[%d]", field, i), rule))
	}
	return r
}

func (c *responseCompiler) outputs(field string, spec map[string]v1alpha1.Expression) map[string]*expression.Expression {
	compiled := make(map[string]*expression.Expression, len(spec))
	for _, name := range slices.Sorted(maps.Keys(spec)) {
		path := field + "." + name
		switch {
		case name == "refresh_token":
			c.add(path, "a refresh token never goes to the target: map it with refreshToken")
		case !outputName.MatchString(name):
			c.add(path, "an output becomes a key of the target: its name may hold %d letters, digits, '-', '_' and '.'", parameters.MaxName)
		}
		compiled[name] = c.expression(path, spec[name], c.environment.Expression)
	}
	return compiled
}

// maxAgain is how many outputs a failure rule may have, as in the API's schema.
const maxAgain = 8

func (c *responseCompiler) failure(field string, spec v1alpha1.FailureRule) response.Failure {
	switch {
	case !slices.Contains(failureReasons, string(spec.Reason)):
		c.add(field+".reason", "write ReauthorizationRequired, AppRejected, RequestRejected, RateLimited, ProviderUnavailable or SendAgain")
	case spec.Reason != v1alpha1.SendAgain && len(spec.Outputs) > 0:
		c.add(field+".outputs", "they are for the call that is sent again: write reason SendAgain, or leave outputs out")
	case len(spec.Outputs) > maxAgain:
		c.add(field+".outputs", "it has %d outputs, of at most %d", len(spec.Outputs), maxAgain)
	}
	return response.Failure{
		When:    c.expression(field+".when", spec.When, c.environment.Condition),
		Reason:  string(spec.Reason),
		Outputs: c.outputs(field+".outputs", spec.Outputs),
	}
}

func (c *responseCompiler) expression(field string, source v1alpha1.Expression, compile compileFunc) *expression.Expression {
	compiled, err := compile(field, string(source))
	c.failed(err)
	return compiled
}

// checkBrings refuses a response that does not read what its call is for, and fields that
// its call has no use for.
func (c *responseCompiler) checkBrings(field string, spec v1alpha1.ProviderResponse) {
	const anyToken = "say where the reply holds the tokens: refreshToken, such as body.?refresh_token, accessToken or both"
	switch {
	case c.role == provider.Grants && spec.AccessToken == "":
		c.add(field+".accessToken", "say where the reply holds the access token, such as body.access_token")
	case c.role == provider.Prepares && len(spec.Outputs) == 0:
		c.add(field+".outputs", "say what the call is for, such as {app_token: body.app_access_token}")
	case c.role == provider.Finishes && spec.AccessToken == "" && len(spec.Outputs) == 0:
		c.add(field, "say what the call brings: accessToken, such as body.access_token, outputs or both")
	case c.role == provider.Authorizes && spec.AccessToken == "" && spec.RefreshToken == "":
		c.add(field, anyToken)
	}
	why := map[provider.Role]string{
		provider.Prepares: "leave it out: a call of prepare brings outputs alone",
		provider.Finishes: "leave it out: the refresh token has been saved before, so map it in refresh or login",
		provider.Revokes:  "leave it out: after revoke nothing is kept",
	}[c.role]
	for _, each := range []struct {
		name    string
		isSet   bool
		useless []provider.Role // of calls to which the field means nothing
	}{
		{"accessToken", spec.AccessToken != "", []provider.Role{provider.Prepares, provider.Revokes}},
		{"refreshToken", spec.RefreshToken != "", []provider.Role{provider.Prepares, provider.Finishes, provider.Revokes}},
		{"tokenType", spec.TokenType != "", []provider.Role{provider.Prepares, provider.Revokes}},
		{"expiresIn", spec.ExpiresIn != "", []provider.Role{provider.Revokes}},
		{"expiresAt", spec.ExpiresAt != "", []provider.Role{provider.Revokes}},
		{"refreshTokenExpiresIn", spec.RefreshTokenExpiresIn != "", []provider.Role{provider.Prepares, provider.Finishes, provider.Revokes}},
		{"refreshTokenExpiresAt", spec.RefreshTokenExpiresAt != "", []provider.Role{provider.Prepares, provider.Finishes, provider.Revokes}},
		{"outputs", len(spec.Outputs) > 0, []provider.Role{provider.Revokes}},
	} {
		if each.isSet && slices.Contains(each.useless, c.role) {
			c.add(field+"."+each.name, "%s", why)
		}
	}
}
