// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/response"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// authorize compiles how a person grants access.
func (c *callCompiler) authorize(spec *v1alpha1.ProviderAuthorize) *provider.Authorize {
	if spec == nil {
		return nil
	}
	const field = "spec.authorize"
	compiled := &provider.Authorize{PKCE: cmp.Or(spec.PKCE, v1alpha1.PKCES256)}
	switch {
	case compiled.PKCE != v1alpha1.PKCES256 && compiled.PKCE != v1alpha1.PKCENone:
		c.add(field+".pkce", "write S256 or None")
	case (spec.URL == "") != (spec.Code == nil):
		c.add(field, "url and code belong together: the page where a person grants access, and the call that turns the code it gives into tokens")
	case spec.URL == "" && spec.Device == nil:
		c.add(field, "describe url and code, device, or both")
	case spec.URL == "" && len(spec.Query) > 0:
		c.add(field+".query", "write url, or leave query out: it is what url is called with")
	}
	if spec.URL != "" && spec.Code != nil {
		c.authorizePage(compiled, *spec)
	}
	if spec.Device != nil {
		c.authorizeDevice(compiled, *spec.Device)
	}
	return compiled
}

// authorizePage compiles the page and the call for the code that comes of it. Where PKCE
// is on, both must have their part of it, or it would bind nothing.
func (c *callCompiler) authorizePage(compiled *provider.Authorize, spec v1alpha1.ProviderAuthorize) {
	pageFields := []string{variable.RedirectURIField, variable.StateField, variable.ScopeField}
	codeFields := []string{variable.RedirectURIField, variable.StateField, variable.ScopeField, variable.CodeField}
	if compiled.PKCE == v1alpha1.PKCES256 {
		pageFields, codeFields = append(pageFields, variable.CodeChallengeField), append(codeFields, variable.CodeVerifierField)
	}
	before := c.count()
	requests, _ := c.in(provider.Authorizes, variable.Scope{Authorization: pageFields})
	page := v1alpha1.ProviderRequest{Method: http.MethodGet, URL: spec.URL, Query: spec.Query}
	compiled.Page = &provider.Call{Role: provider.Authorizes, Request: requests.request("spec.authorize", page), Lifetimes: c.lifetimes}
	ofCode := variable.Scope{Again: variable.Again(*spec.Code), Authorization: codeFields}
	compiled.Code = c.compiled(provider.Authorizes, ofCode, "spec.authorize.code", *spec.Code, c.lifetimes)
	if c.count() > before {
		return // what did not compile may have sent what follows
	}
	if !compiled.Page.Request.Sends(variable.StateField) {
		c.add("spec.authorize.query", "send the state, as state: ${authorization.state}: without it anybody could finish another's authorization (RFC 6749 section 10.12)")
	}
	if !compiled.Code.Request.Sends(variable.CodeField) {
		c.add("spec.authorize.code.request", "send the code, such as code: ${authorization.code}")
	}
	if compiled.PKCE == v1alpha1.PKCES256 {
		if !compiled.Page.Request.Sends(variable.CodeChallengeField) {
			c.add("spec.authorize.query", "add code_challenge: ${authorization.codeChallenge} and code_challenge_method: S256, or write pkce: None")
		}
		if !compiled.Code.Request.Sends(variable.CodeVerifierField) {
			c.add("spec.authorize.code.request", "add code_verifier: ${authorization.codeVerifier}, or write pkce: None")
		}
	}
}

// authorizeDevice compiles the two calls of RFC 8628.
func (c *callCompiler) authorizeDevice(compiled *provider.Authorize, spec v1alpha1.ProviderDevice) {
	const field = "spec.authorize.device"
	before := c.count()
	requests, responses := c.in(provider.Prepares, variable.Scope{SpendsNothing: true, Authorization: []string{variable.ScopeField}})
	start := &provider.Call{Role: provider.Prepares, Request: requests.request(field+".request", spec.Request)}
	start.Response = response.Response{Format: v1alpha1.FormatAuto, Outputs: responses.outputs(field+".response", deviceOutputs(spec.Response))}
	compiled.Device = start
	ofToken := variable.Scope{Again: variable.Again(spec.Token), Authorization: []string{variable.ScopeField, variable.DeviceCodeField}}
	compiled.DeviceToken = c.compiled(provider.Authorizes, ofToken, field+".token", spec.Token, c.lifetimes)
	if c.count() == before && !compiled.DeviceToken.Request.Sends(variable.DeviceCodeField) {
		c.add(field+".token.request", "send the code, such as device_code: ${authorization.deviceCode}")
	}
}

// deviceOutputs is the reply to a device's request, by default that of RFC 8628 section
// 3.2, as the outputs of a call.
func deviceOutputs(spec v1alpha1.DeviceResponse) map[string]v1alpha1.Expression {
	return map[string]v1alpha1.Expression{
		provider.DeviceCodeOutput:              cmp.Or(spec.DeviceCode, "body.device_code"),
		provider.UserCodeOutput:                cmp.Or(spec.UserCode, "body.user_code"),
		provider.VerificationURIOutput:         cmp.Or(spec.VerificationURI, "body.verification_uri"),
		provider.VerificationURICompleteOutput: cmp.Or(spec.VerificationURIComplete, "body.?verification_uri_complete"),
		provider.IntervalOutput:                cmp.Or(spec.Interval, "body.?interval"),
		provider.ExpiresInOutput:               cmp.Or(spec.ExpiresIn, "body.?expires_in"),
	}
}
