// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"slices"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// The names of the variables.
const (
	appVariable                 = "app"
	refreshTokenVariable        = "refreshToken"
	accessTokenVariable         = "accessToken"
	loginVariable               = "login"
	clientCertificateVariable   = "clientCertificate"
	serviceAccountTokenVariable = "serviceAccountToken"
	parametersVariable          = "parameters"
	outputsVariable             = "outputs"
	nowVariable                 = "now"
	authorizationVariable       = "authorization"
	statusVariable              = "status"
	headersVariable             = "headers"
	bodyVariable                = "body"
)

// environments are what the requests and the responses of all providers are compiled in.
// Both know every variable; a scope says which fields they have, and where they have no
// value. To make them takes milliseconds, so they are made once.
var environments = sync.OnceValues(func() (pair [2]*expression.Environment, err error) {
	all := []expression.Variable{
		expression.TextMap(appVariable, nil),
		expression.Text(refreshTokenVariable),
		expression.Text(accessTokenVariable),
		expression.TextMap(loginVariable, nil),
		expression.TextMap(clientCertificateVariable, nil),
		expression.Text(serviceAccountTokenVariable),
		expression.TextMap(parametersVariable, nil),
		expression.AnyMap(outputsVariable, nil),
		expression.Timestamp(nowVariable),
		expression.UUID(),
		expression.TextMap(authorizationVariable, nil),
		expression.Integer(statusVariable),
		expression.AnyMap(headersVariable, nil),
		expression.Any(bodyVariable),
	}
	if pair[0], err = expression.NewSigningEnvironment(all...); err == nil {
		pair[1], err = expression.NewEnvironment(all...)
	}
	return pair, err
})

// scope is what the expressions of one call may use beside what all may.
type scope struct {
	role role
	// again are the outputs that the call has when it is sent again.
	again []string
	// authorization are the fields of authorization; nil outside spec.authorize.
	authorization []string
}

// declare works out what is known to all calls.
func (c *compiler) declare() {
	names := map[string]bool{}
	calls := append([]v1alpha1.ProviderCall{}, c.spec.Finish...)
	for _, call := range []*v1alpha1.ProviderCall{c.spec.Refresh, c.spec.Login} {
		if call != nil {
			calls = append(calls, *call)
		}
	}
	for _, call := range calls {
		for name := range call.Response.Outputs {
			names[name] = true
		}
	}
	c.published = slices.Sorted(maps.Keys(names))
}

// enter makes the environments of a scope those that expressions are compiled in.
func (c *compiler) enter(s scope) {
	made, err := environments()
	if err != nil {
		panic(err) // the declarations above contradict each other
	}
	shared := c.variables(s)
	c.role = s.role
	c.responses = made[1].With(shared...)
	const early = "is not known yet: a request is built before there is a reply (outputs.<name> is from the last one)"
	c.requests = made[0].With(append(shared,
		expression.Integer(statusVariable).Refused("status "+early),
		expression.AnyMap(headersVariable, nil).Refused("headers "+early),
		expression.Any(bodyVariable).Refused("body "+early),
	)...)
}

// variables of a scope, those that a reply adds aside.
func (c *compiler) variables(s scope) []expression.Variable {
	var parameters []string
	for _, parameter := range c.spec.Inputs.Parameters {
		parameters = append(parameters, parameter.Name)
	}
	app, certificate := []string{"key", "secret"}, []string{"certificate", "key"}
	if c.spec.Inputs.App == v1alpha1.None {
		app = nil
	}
	if c.spec.Inputs.ClientCertificate == v1alpha1.None {
		certificate = nil
	}
	outputs := slices.Concat(c.published, c.prepared, s.again)
	if s.authorization != nil {
		outputs = slices.Concat(c.prepared, s.again)
	}
	slices.Sort(outputs)
	refreshToken, accessToken := expression.Text(refreshTokenVariable), expression.Text(accessTokenVariable)
	authorization := expression.TextMap(authorizationVariable, s.authorization)
	switch {
	case s.authorization != nil:
		const before = "is not known before a person has granted access"
		refreshToken, accessToken = refreshToken.Refused("refreshToken "+before), accessToken.Refused("accessToken "+before)
	case s.role == prepares:
		refreshToken = refreshToken.Refused("refreshToken is not known in a call of prepare, which must spend nothing: use it in refresh")
	}
	if s.authorization == nil {
		authorization = authorization.Refused("authorization is known in spec.authorize alone")
	}
	serviceAccountToken := expression.Text(serviceAccountTokenVariable)
	if c.spec.Inputs.ServiceAccountToken == nil {
		serviceAccountToken = serviceAccountToken.Refused("serviceAccountToken is not known: declare spec.inputs.serviceAccountToken, with the audience that the token is for")
	}
	return []expression.Variable{
		expression.TextMap(appVariable, app),
		refreshToken, accessToken,
		expression.TextMap(loginVariable, keys(c.spec.Inputs.Login)),
		expression.TextMap(clientCertificateVariable, certificate),
		serviceAccountToken,
		expression.TextMap(parametersVariable, parameters),
		expression.AnyMap(outputsVariable, append([]string{}, slices.Compact(outputs)...)),
		authorization,
	}
}

// enterParameters makes parameters all that expressions may use: what is decided before
// anything is read.
func (c *compiler) enterParameters() {
	c.enter(scope{})
	const why = " is not known here: parameters.<name> alone may be used"
	refused := []expression.Variable{
		expression.TextMap(appVariable, nil), expression.Text(refreshTokenVariable), expression.Text(accessTokenVariable),
		expression.TextMap(loginVariable, nil), expression.TextMap(clientCertificateVariable, nil),
		expression.Text(serviceAccountTokenVariable), expression.AnyMap(outputsVariable, nil), expression.Timestamp(nowVariable),
		expression.UUID(),
	}
	for i, variable := range refused {
		refused[i] = variable.Refused(variable.Name() + why)
	}
	c.requests = c.requests.With(refused...)
}

// outputsToSendAgain are the outputs of a call's failure rules.
func outputsToSendAgain(spec v1alpha1.ProviderCall) []string {
	var names []string
	for _, rule := range spec.Response.Failures {
		names = slices.AppendSeq(names, maps.Keys(rule.Outputs))
	}
	return names
}
