// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// part is an expression or a template of a call.
type part interface {
	Uses(variable string) bool
	Fields(variable string) (fields []string, whole bool)
}

// calls lists the calls that the operator makes.
func (p *Provider) calls() []*Call {
	var calls []*Call
	for _, call := range slices.Concat(p.Prepare, []*Call{p.Refresh, p.Login}, p.Finish, []*Call{p.Revoke}) {
		if call != nil {
			calls = append(calls, call)
		}
	}
	return calls
}

// requestsUse reports whether a request of the operator's calls names a variable.
func (p *Provider) requestsUse(variable string) bool {
	return slices.ContainsFunc(p.calls(), func(call *Call) bool { return call.request.uses(variable) })
}

// remembersReply reports whether a call builds on the last reply. Those of finish do:
// they are made again by themselves where they fail.
func (p *Provider) remembersReply() bool {
	published := func(name string) bool { return slices.Contains(p.Outputs, name) }
	return len(p.Finish) > 0 || slices.ContainsFunc(p.calls(), func(call *Call) bool {
		return call.uses(accessTokenVariable) || slices.ContainsFunc(call.parts(), func(part part) bool {
			fields, whole := part.Fields(outputsVariable)
			return whole || slices.ContainsFunc(fields, published)
		})
	})
}

// uses tells whether any expression of the call names a variable.
func (c *Call) uses(variable string) bool { return anyUses(c.parts(), variable) }

// uses tells whether any part of the request names the variable.
func (r *request) uses(variable string) bool { return anyUses(r.parts(), variable) }

func anyUses(parts []part, variable string) bool {
	return slices.ContainsFunc(parts, func(part part) bool { return part.Uses(variable) })
}

// parts lists the expressions of the call.
func (c *Call) parts() []part { return append(c.request.parts(), c.response.parts()...) }

func (r *request) parts() []part {
	var parts []part
	for _, template := range []*expression.Template{r.url, r.username, r.password} {
		if template != nil {
			parts = append(parts, template)
		}
	}
	for _, pair := range slices.Concat(r.query, r.form, r.headers) {
		if pair.value != nil { // it did not compile
			parts = append(parts, pair.value)
		}
	}
	if r.json != nil {
		parts = append(parts, r.json.parts()...)
	}
	return parts
}

func (r *response) parts() []part {
	all := []*expression.Expression{
		r.success, r.accessToken, r.refreshToken, r.tokenType, r.expiresIn, r.expiresAt,
		r.refreshTokenExpiresIn, r.refreshTokenExpiresAt, r.retryAfter, r.message,
	}
	for _, output := range r.outputs {
		all = append(all, output)
	}
	for _, failure := range r.failures {
		all = append(all, failure.when)
		for _, output := range failure.outputs {
			all = append(all, output)
		}
	}
	var parts []part
	for _, each := range all {
		if each != nil {
			parts = append(parts, each)
		}
	}
	return parts
}
