// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// How long a token of a service account may live, as in the API's schema: an API server
// issues none for less than ten minutes.
const (
	defaultTokenSeconds  = 3600
	shortestTokenSeconds = 600
	longestTokenSeconds  = 86400
)

// serviceAccountToken compiles what token of a service account is wanted.
func (c *compiler) serviceAccountToken() *provider.ServiceAccountToken {
	spec := c.spec.Inputs.ServiceAccountToken
	if spec == nil {
		return nil
	}
	const field = "spec.inputs.serviceAccountToken"
	if spec.Audience == "" {
		c.add(field+".audience", "say whom the token is for, such as https://sts.example.com")
	}
	seconds := cmp.Or(spec.ExpirationSeconds, defaultTokenSeconds)
	if seconds < shortestTokenSeconds || seconds > longestTokenSeconds {
		c.add(field+".expirationSeconds", "write %d to %d", shortestTokenSeconds, longestTokenSeconds)
	}
	audience, err := c.known.InParametersAlone().Template(field+".audience", spec.Audience)
	c.failed(err)
	return &provider.ServiceAccountToken{
		AudienceOf: audience,
		Expiration: time.Duration(seconds) * time.Second,
		Optional:   spec.Optional,
	}
}

// infer fills in the requirements where the spec is silent, and refuses inputs that no
// call takes.
func (c *compiler) infer(p *provider.Provider) {
	inputs := c.spec.Inputs
	p.App = inferred(inputs.App, requestsUse(p, variable.App))
	p.ClientCertificate = inferred(inputs.ClientCertificate, requestsUse(p, variable.ClientCertificate))
	c.inferRefreshToken(p)
	p.NeedsLogin = slices.ContainsFunc(calledBy(p), func(call *provider.Call) bool {
		return call != p.Login && variable.AnyUses(call.Parts(), variable.Login)
	})
	if p.Login == nil && !p.NeedsLogin && len(p.LoginKeys) > 0 {
		c.add("spec.inputs.login", "leave it out, or use the keys in a call, as login.<key>: none does")
	}
	if p.ServiceAccountToken != nil && !requestsUse(p, variable.ServiceAccountToken) {
		c.add("spec.inputs.serviceAccountToken", "leave it out, or use serviceAccountToken in a request: none does")
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

func (c *compiler) inferRefreshToken(p *provider.Provider) {
	p.RefreshToken = c.spec.Inputs.RefreshToken
	switch {
	case p.RefreshToken != "":
		if p.RefreshToken != v1alpha1.None && p.Refresh == nil {
			c.add("spec.inputs.refreshToken", "write None, or describe refresh: there is no call that takes a refresh token")
		}
		if p.RefreshToken == v1alpha1.None && p.Refresh != nil && p.Login == nil {
			c.add("spec.inputs.refreshToken", "write Required: without a login step nothing else starts a refresh")
		}
	case p.Refresh == nil:
		p.RefreshToken = v1alpha1.None
	case p.Login != nil:
		p.RefreshToken = v1alpha1.Optional
	default:
		p.RefreshToken = v1alpha1.Required
	}
}

// calledBy lists the calls that the operator makes.
func calledBy(p *provider.Provider) []*provider.Call {
	var made []*provider.Call
	for _, call := range slices.Concat(p.Prepare, []*provider.Call{p.Refresh, p.Login}, p.Finish, []*provider.Call{p.Revoke}) {
		if call != nil {
			made = append(made, call)
		}
	}
	return made
}

// requestsUse reports whether a request of the operator's calls names a variable.
func requestsUse(p *provider.Provider, name string) bool {
	return slices.ContainsFunc(calledBy(p), func(call *provider.Call) bool { return call.Request.Uses(name) })
}

// remembersReply reports whether a call builds on the last reply. Those of finish do:
// they are made again by themselves where they fail.
func remembersReply(p *provider.Provider) bool {
	published := func(name string) bool { return slices.Contains(p.Outputs, name) }
	return len(p.Finish) > 0 || slices.ContainsFunc(calledBy(p), func(call *provider.Call) bool {
		return variable.AnyUses(call.Parts(), variable.AccessToken) || slices.ContainsFunc(call.Parts(), func(part variable.Part) bool {
			fields, whole := part.Fields(variable.Outputs)
			return whole || slices.ContainsFunc(fields, published)
		})
	})
}
