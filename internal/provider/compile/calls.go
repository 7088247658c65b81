// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// maxSteps is how many calls prepare and finish may have each, as in the API's schema.
const maxSteps = 4

// callCompiler compiles the calls of one description.
type callCompiler struct {
	*problems
	known     *variable.Known
	bounded   []string // the parameters that have a pattern
	lifetimes lifetime.Assumed
}

// call compiles a call that brings a token.
func (c *callCompiler) call(field string, spec v1alpha1.ProviderCall) *provider.Call {
	return c.step(provider.Grants, field, spec, c.lifetimes)
}

// step compiles a call of one role.
func (c *callCompiler) step(role provider.Role, field string, spec v1alpha1.ProviderCall, lifetimes lifetime.Assumed) *provider.Call {
	scope := variable.Scope{SpendsNothing: role == provider.Prepares, Again: variable.Again(spec)}
	return c.compiled(role, scope, field, spec, lifetimes)
}

// compiled compiles a call in a scope.
func (c *callCompiler) compiled(role provider.Role, scope variable.Scope, field string, spec v1alpha1.ProviderCall, lifetimes lifetime.Assumed) *provider.Call {
	requests, responses := c.in(role, scope)
	return &provider.Call{
		Role:      role,
		Request:   requests.request(field+".request", spec.Request),
		Response:  responses.response(field+".response", spec.Response),
		Lifetimes: lifetimes,
	}
}

// in gives what compiles the request and the response of a call in its scope.
func (c *callCompiler) in(role provider.Role, scope variable.Scope) (*requestCompiler, *responseCompiler) {
	ofRequests, ofResponses := c.known.In(scope)
	return &requestCompiler{problems: c.problems, environment: ofRequests, bounded: c.bounded},
		&responseCompiler{problems: c.problems, environment: ofResponses, role: role}
}

// prepare compiles the calls before a refresh or a login. What one gives is known to
// those after it.
func (c *callCompiler) prepare(specs []v1alpha1.ProviderCall) []*provider.Call {
	c.checkSteps("spec.prepare", specs)
	var compiled []*provider.Call
	for i, spec := range specs {
		compiled = append(compiled, c.step(provider.Prepares, fmt.Sprintf("spec.prepare[%d]", i), spec, lifetime.Assumed{}))
		c.known.AddPrepared(spec)
	}
	return compiled
}

// finish compiles the calls after a refresh or a login.
func (c *callCompiler) finish(specs []v1alpha1.ProviderCall) []*provider.Call {
	c.checkSteps("spec.finish", specs)
	var compiled []*provider.Call
	for i, spec := range specs {
		assumed := c.lifetimes
		if spec.Response.AccessToken == "" {
			assumed = lifetime.Assumed{} // the token that is there lives on as it did
		}
		compiled = append(compiled, c.step(provider.Finishes, fmt.Sprintf("spec.finish[%d]", i), spec, assumed))
	}
	return compiled
}

func (c *callCompiler) checkSteps(field string, specs []v1alpha1.ProviderCall) {
	if len(specs) > maxSteps {
		c.add(field, "it has %d calls, of at most %d", len(specs), maxSteps)
	}
}

// revoke compiles the call that ends a grant.
func (c *callCompiler) revoke(spec *v1alpha1.ProviderCall) *provider.Call {
	if spec == nil {
		return nil
	}
	return c.step(provider.Revokes, "spec.revoke", *spec, lifetime.Assumed{})
}
