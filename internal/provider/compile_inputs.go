// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// How long a token of a service account may live, as in the API's schema: an API server
// issues none for less than ten minutes.
const (
	defaultTokenSeconds  = 3600
	shortestTokenSeconds = 600
	longestTokenSeconds  = 86400
)

// serviceAccountToken compiles what token of a service account is wanted.
func (c *compiler) serviceAccountToken() *ServiceAccountToken {
	spec := c.spec.Inputs.ServiceAccountToken
	if spec == nil {
		return nil
	}
	const field = "spec.inputs.serviceAccountToken"
	if spec.Audience == "" {
		c.problem(field+".audience", "say whom the token is for, such as https://sts.example.com")
	}
	seconds := cmp.Or(spec.ExpirationSeconds, defaultTokenSeconds)
	if seconds < shortestTokenSeconds || seconds > longestTokenSeconds {
		c.problem(field+".expirationSeconds", "write %d to %d", shortestTokenSeconds, longestTokenSeconds)
	}
	c.enterParameters()
	return &ServiceAccountToken{
		audience:   c.template(field+".audience", spec.Audience),
		Expiration: time.Duration(seconds) * time.Second,
		Optional:   spec.Optional,
	}
}

func (c *compiler) earliestRenewal() int {
	percentage := c.spec.Renewal.EarliestPercentage
	if percentage < 0 || percentage > 99 {
		c.problem("spec.renewal.earliestPercentage", "write 0 to 99, the part of a lifetime before which the provider renews no token")
	}
	return int(percentage)
}

// infer fills in the requirements where the spec is silent, and refuses inputs that no
// call takes.
func (c *compiler) infer(p *Provider) {
	inputs := c.spec.Inputs
	p.App = inferred(inputs.App, p.requestsUse(appVariable))
	p.ClientCertificate = inferred(inputs.ClientCertificate, p.requestsUse(clientCertificateVariable))
	c.inferRefreshToken(p)
	p.NeedsLogin = slices.ContainsFunc(p.calls(), func(call *Call) bool { return call != p.Login && call.uses(loginVariable) })
	if p.Login == nil && !p.NeedsLogin && len(p.LoginKeys) > 0 {
		c.problem("spec.inputs.login", "leave it out, or use the keys in a call, as login.<key>: none does")
	}
	if p.ServiceAccountToken != nil && !p.requestsUse(serviceAccountTokenVariable) {
		c.problem("spec.inputs.serviceAccountToken", "leave it out, or use serviceAccountToken in a request: none does")
	}
}

// inferred is a requirement that is stated, or else follows from what requests use.
func inferred(stated v1alpha1.InputRequirement, used bool) v1alpha1.InputRequirement {
	switch {
	case stated != "":
		return stated
	case used:
		return v1alpha1.Required
	}
	return v1alpha1.None
}

func (c *compiler) inferRefreshToken(p *Provider) {
	p.RefreshToken = c.spec.Inputs.RefreshToken
	switch {
	case p.RefreshToken != "":
		if p.RefreshToken != v1alpha1.None && p.Refresh == nil {
			c.problem("spec.inputs.refreshToken", "write None, or describe refresh: there is no call that takes a refresh token")
		}
		if p.RefreshToken == v1alpha1.None && p.Refresh != nil && p.Login == nil {
			c.problem("spec.inputs.refreshToken", "write Required: without a login step nothing else starts a refresh")
		}
	case p.Refresh == nil:
		p.RefreshToken = v1alpha1.None
	case p.Login != nil:
		p.RefreshToken = v1alpha1.Optional
	default:
		p.RefreshToken = v1alpha1.Required
	}
}
