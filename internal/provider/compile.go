// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
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
		Outputs:    c.outputs,
		parameters: c.parameters(),
		Rotation:   c.rotation(),
		RateLimit:  c.rateLimit(),
	}
	c.patterns(p.parameters)
	lifetimes := c.lifetimes()
	if spec.Refresh == nil && spec.Login == nil {
		c.problem("spec", "describe at least one of refresh and login")
	}
	if spec.Refresh != nil {
		p.Refresh = c.call("spec.refresh", *spec.Refresh, lifetimes)
		p.Refresh.maySpend = p.Rotation.Mode != v1alpha1.Reusable
	}
	if spec.Login != nil {
		p.Login = c.call("spec.login", *spec.Login, lifetimes)
	}
	c.infer(p)
	for _, call := range []*Call{p.Refresh, p.Login} {
		p.RemembersReply = p.RemembersReply || call != nil && (call.uses(accessTokenVariable) || call.uses(outputsVariable))
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return p, nil
}

// compiler gathers problems while it compiles one spec.
type compiler struct {
	spec     v1alpha1.ClusterTokenProviderSpec
	problems []error

	outputs   []string // of both calls, sorted
	bounded   []string // the parameters that have a pattern
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

// The names of the variables.
const (
	appVariable          = "app"
	refreshTokenVariable = "refreshToken"
	accessTokenVariable  = "accessToken"
	loginVariable        = "login"
	parametersVariable   = "parameters"
	outputsVariable      = "outputs"
	nowVariable          = "now"
	statusVariable       = "status"
	headersVariable      = "headers"
	bodyVariable         = "body"
)

// declare makes the two environments: what a request may use, and what a
// response may use beside that.
func (c *compiler) declare() {
	names := map[string]bool{}
	for _, call := range []*v1alpha1.ProviderCall{c.spec.Refresh, c.spec.Login} {
		if call != nil {
			for name := range call.Response.Outputs {
				names[name] = true
			}
		}
	}
	c.outputs = slices.Sorted(maps.Keys(names))
	app := []string{"key", "secret"}
	if c.spec.Inputs.App == v1alpha1.None {
		app = nil
	}
	var parameters []string
	for _, parameter := range c.spec.Inputs.Parameters {
		parameters = append(parameters, parameter.Name)
	}
	shared := []expression.Variable{
		expression.TextMap(appVariable, app),
		expression.Text(refreshTokenVariable),
		expression.Text(accessTokenVariable),
		expression.TextMap(loginVariable, keys(c.spec.Inputs.Login)),
		expression.TextMap(parametersVariable, parameters),
		expression.AnyMap(outputsVariable, append([]string{}, c.outputs...)),
		expression.Timestamp(nowVariable),
		expression.UUID(),
	}
	var err error
	c.requests, err = expression.NewSigningEnvironment(shared...)
	c.failed(err)
	c.responses, err = expression.NewEnvironment(append(shared,
		expression.Integer(statusVariable),
		expression.AnyMap(headersVariable, nil),
		expression.Any(bodyVariable),
	)...)
	c.failed(err)
}

func keys(from []v1alpha1.SecretKey) []string {
	var names []string
	for _, key := range from {
		names = append(names, string(key))
	}
	return names
}

func (c *compiler) call(field string, spec v1alpha1.ProviderCall, lifetimes lifetimes) *Call {
	return &Call{
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

func (c *compiler) lifetimes() lifetimes {
	return lifetimes{
		access:  c.duration("spec.lifetime.accessToken", c.spec.Lifetime.AccessToken, defaultLifetime),
		refresh: c.duration("spec.lifetime.refreshToken", c.spec.Lifetime.RefreshToken, 0),
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
	if spec.IsUnreadable() || value < 0 || value > longestLifetime {
		c.problem(field, "write a duration from 0s to ten years, such as 1h")
		return fallback
	}
	return cmp.Or(value, fallback)
}

// infer fills in the requirements where the spec is silent.
func (c *compiler) infer(p *Provider) {
	p.App = c.spec.Inputs.App
	if p.App == "" {
		p.App = v1alpha1.None
		if (p.Refresh != nil && p.Refresh.request.uses(appVariable)) || (p.Login != nil && p.Login.request.uses(appVariable)) {
			p.App = v1alpha1.Required
		}
	}
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
	if p.Login == nil && len(p.LoginKeys) > 0 {
		c.problem("spec.inputs.login", "leave it out, or describe login: there is no call that takes these keys")
	}
}
