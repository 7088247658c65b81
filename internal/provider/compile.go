// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
)

// defaultLifetime is what a token is taken to live where neither the reply nor
// the provider's description says.
const defaultLifetime = time.Hour

// Compile checks a description and makes it ready for use. The error joins every
// problem at once, each with the path of its field.
func Compile(name string, spec v1alpha1.ClusterTokenProviderSpec) (*Provider, error) {
	c := &compiler{spec: spec}
	c.declare()
	p := &Provider{
		Name:       name,
		LoginKeys:  keys(spec.Inputs.Login),
		Outputs:    c.published,
		parameters: c.parameters(),
		Rotation:   c.rotation(),
		RateLimit:  c.rateLimit(),
	}
	c.patterns(p.parameters)
	lifetimes := c.lifetimes()
	if spec.Refresh == nil && spec.Login == nil {
		c.problem("spec", "describe at least one of refresh and login")
	}
	p.Prepare = c.prepare()
	if spec.Refresh != nil {
		p.Refresh = c.call("spec.refresh", *spec.Refresh, lifetimes)
		p.Refresh.maySpend = p.Rotation.Mode != v1alpha1.Reusable
	}
	if spec.Login != nil {
		p.Login = c.call("spec.login", *spec.Login, lifetimes)
	}
	p.Finish = c.finish(lifetimes)
	p.Revoke = c.revoke()
	p.Authorize = c.authorize(lifetimes)
	p.ServiceAccountToken = c.serviceAccountToken()
	p.EarliestRenewal = c.earliestRenewal()
	c.infer(p)
	p.RemembersReply = p.remembersReply()
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return p, nil
}

// compiler gathers problems while it compiles one spec.
type compiler struct {
	spec     v1alpha1.ClusterTokenProviderSpec
	problems []error

	published []string // the outputs that go to the target, sorted
	prepared  []string // the outputs of the calls of prepare that are compiled
	bounded   []string // the parameters that have a pattern

	// Of the call that is being compiled.
	role      role
	requests  *expression.Environment
	responses *expression.Environment
}

func (c *compiler) problem(field, format string, arguments ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, arguments...)))
}

// failed notes the problems of an error, one by one.
func (c *compiler) failed(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			c.failed(each)
		}
		return
	}
	if err != nil {
		c.problems = append(c.problems, err)
	}
}

func keys(from []v1alpha1.SecretKey) []string {
	var names []string
	for _, key := range from {
		names = append(names, string(key))
	}
	return names
}

// call compiles a call that brings a token.
func (c *compiler) call(field string, spec v1alpha1.ProviderCall, lifetimes lifetime.Assumed) *Call {
	return c.step(grants, field, spec, lifetimes)
}

// step compiles a call of one role.
func (c *compiler) step(role role, field string, spec v1alpha1.ProviderCall, lifetimes lifetime.Assumed) *Call {
	c.enter(scope{role: role, again: outputsToSendAgain(spec)})
	return c.compiled(field, spec, lifetimes)
}

// compiled compiles a call in the scope that has been entered.
func (c *compiler) compiled(field string, spec v1alpha1.ProviderCall, lifetimes lifetime.Assumed) *Call {
	return &Call{
		role:      c.role,
		request:   c.request(field+".request", spec.Request),
		response:  c.response(field+".response", spec.Response),
		lifetimes: lifetimes,
	}
}

func (c *compiler) rotation() Rotation {
	spec := c.spec.Rotation
	rotation := Rotation{
		Mode:             cmp.Or(spec.Mode, v1alpha1.Auto),
		ReuseWindow:      c.duration("spec.rotation.reuseWindow", spec.ReuseWindow, 0),
		OnUnknownOutcome: cmp.Or(spec.OnUnknownOutcome, v1alpha1.Hold),
	}
	if !slices.Contains([]v1alpha1.RotationMode{v1alpha1.Auto, v1alpha1.SingleUse, v1alpha1.Reusable}, rotation.Mode) {
		c.problem("spec.rotation.mode", "write Auto, SingleUse or Reusable")
	}
	if !slices.Contains([]v1alpha1.UnknownOutcomePolicy{v1alpha1.Hold, v1alpha1.RetryOnce}, rotation.OnUnknownOutcome) {
		c.problem("spec.rotation.onUnknownOutcome", "write Hold or RetryOnce")
	}
	return rotation
}

func (c *compiler) lifetimes() lifetime.Assumed {
	return lifetime.Assumed{
		Access:   c.duration("spec.lifetime.accessToken", c.spec.Lifetime.AccessToken, defaultLifetime),
		Refresh:  c.duration("spec.lifetime.refreshToken", c.spec.Lifetime.RefreshToken, 0),
		Declared: c.spec.Lifetime.AccessToken != nil,
	}
}

func (c *compiler) rateLimit() *RateLimit {
	if c.spec.RateLimit == nil {
		return nil
	}
	if c.spec.RateLimit.Requests < 1 {
		c.problem("spec.rateLimit.requests", "write at least 1")
	}
	return &RateLimit{
		Requests: int(c.spec.RateLimit.Requests),
		Per:      c.duration("spec.rateLimit.per", c.spec.RateLimit.Per, time.Second),
	}
}

// duration checks a span that may be absent. A zero counts as absent.
func (c *compiler) duration(field string, spec *v1alpha1.Duration, fallback time.Duration) time.Duration {
	value := spec.OrDefault(0)
	if spec.IsUnreadable() || value < 0 || value > lifetime.Longest {
		c.problem(field, "write a duration from 0s to ten years, such as 1h")
		return fallback
	}
	return cmp.Or(value, fallback)
}
