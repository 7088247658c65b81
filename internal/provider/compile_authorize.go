// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
)

// authorize compiles how a person grants access.
func (c *compiler) authorize(lifetimes lifetime.Assumed) *Authorize {
	spec := c.spec.Authorize
	if spec == nil {
		return nil
	}
	const field = "spec.authorize"
	compiled := &Authorize{PKCE: cmp.Or(spec.PKCE, v1alpha1.PKCES256)}
	switch {
	case compiled.PKCE != v1alpha1.PKCES256 && compiled.PKCE != v1alpha1.PKCENone:
		c.problem(field+".pkce", "write S256 or None")
	case (spec.URL == "") != (spec.Code == nil):
		c.problem(field, "url and code belong together: the page where a person grants access, and the call that turns the code it gives into tokens")
	case spec.URL == "" && spec.Device == nil:
		c.problem(field, "describe url and code, device, or both")
	case spec.URL == "" && len(spec.Query) > 0:
		c.problem(field+".query", "write url, or leave query out: it is what url is called with")
	}
	if spec.URL != "" && spec.Code != nil {
		c.authorizePage(compiled, *spec, lifetimes)
	}
	if spec.Device != nil {
		c.authorizeDevice(compiled, *spec.Device, lifetimes)
	}
	return compiled
}

// authorizePage compiles the page and the call for the code that comes of it. Where PKCE
// is on, both must have their part of it, or it would bind nothing.
func (c *compiler) authorizePage(compiled *Authorize, spec v1alpha1.ProviderAuthorize, lifetimes lifetime.Assumed) {
	pageFields := []string{redirectURIField, stateField, scopeField}
	codeFields := []string{redirectURIField, stateField, scopeField, codeField}
	if compiled.PKCE == v1alpha1.PKCES256 {
		pageFields, codeFields = append(pageFields, codeChallengeField), append(codeFields, codeVerifierField)
	}
	before := len(c.problems)
	c.enter(scope{role: authorizes, authorization: pageFields})
	page := v1alpha1.ProviderRequest{Method: http.MethodGet, URL: spec.URL, Query: spec.Query}
	compiled.Page = &Call{role: authorizes, request: c.request("spec.authorize", page), lifetimes: lifetimes}
	c.enter(scope{role: authorizes, again: outputsToSendAgain(*spec.Code), authorization: codeFields})
	compiled.Code = c.compiled("spec.authorize.code", *spec.Code, lifetimes)
	if len(c.problems) > before {
		return // what did not compile may have sent what follows
	}
	if !compiled.Page.sends(stateField) {
		c.problem("spec.authorize.query", "send the state, as state: ${authorization.state}: without it anybody could finish another's authorization (RFC 6749 section 10.12)")
	}
	if !compiled.Code.sends(codeField) {
		c.problem("spec.authorize.code.request", "send the code, such as code: ${authorization.code}")
	}
	if compiled.PKCE == v1alpha1.PKCES256 {
		if !compiled.Page.sends(codeChallengeField) {
			c.problem("spec.authorize.query", "add code_challenge: ${authorization.codeChallenge} and code_challenge_method: S256, or write pkce: None")
		}
		if !compiled.Code.sends(codeVerifierField) {
			c.problem("spec.authorize.code.request", "add code_verifier: ${authorization.codeVerifier}, or write pkce: None")
		}
	}
}

// authorizeDevice compiles the two calls of RFC 8628.
func (c *compiler) authorizeDevice(compiled *Authorize, spec v1alpha1.ProviderDevice, lifetimes lifetime.Assumed) {
	const field = "spec.authorize.device"
	before := len(c.problems)
	c.enter(scope{role: prepares, authorization: []string{scopeField}})
	start := &Call{role: prepares, request: c.request(field+".request", spec.Request)}
	start.response = response{format: v1alpha1.FormatAuto, outputs: c.outputs(field+".response", deviceOutputs(spec.Response))}
	compiled.Device = start
	c.enter(scope{role: authorizes, again: outputsToSendAgain(spec.Token), authorization: []string{scopeField, deviceCodeField}})
	compiled.DeviceToken = c.compiled(field+".token", spec.Token, lifetimes)
	if len(c.problems) == before && !compiled.DeviceToken.sends(deviceCodeField) {
		c.problem(field+".token.request", "send the code, such as device_code: ${authorization.deviceCode}")
	}
}

// deviceOutputs is the reply to a device's request, by default that of RFC 8628 section
// 3.2, as the outputs of a call.
func deviceOutputs(spec v1alpha1.DeviceResponse) map[string]v1alpha1.Expression {
	return map[string]v1alpha1.Expression{
		DeviceCodeOutput:              cmp.Or(spec.DeviceCode, "body.device_code"),
		UserCodeOutput:                cmp.Or(spec.UserCode, "body.user_code"),
		VerificationURIOutput:         cmp.Or(spec.VerificationURI, "body.verification_uri"),
		VerificationURICompleteOutput: cmp.Or(spec.VerificationURIComplete, "body.?verification_uri_complete"),
		IntervalOutput:                cmp.Or(spec.Interval, "body.?interval"),
		ExpiresInOutput:               cmp.Or(spec.ExpiresIn, "body.?expires_in"),
	}
}

// sends reports whether the request uses a field of authorization.
func (c *Call) sends(field string) bool {
	return slices.ContainsFunc(c.request.parts(), func(part part) bool {
		fields, whole := part.Fields(authorizationVariable)
		return whole || slices.Contains(fields, field)
	})
}
