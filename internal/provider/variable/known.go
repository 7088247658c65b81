// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package variable

import (
	"maps"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// Scope is what the expressions of one call may use beside what all may.
type Scope struct {
	// SpendsNothing is true for a call that must not use a refresh token.
	SpendsNothing bool
	// Again are the outputs that the call has when it is sent again.
	Again []string
	// Authorization are the fields of authorization; nil outside spec.authorize.
	Authorization []string
}

// Again are the outputs of a call's failure rules: those that it has when it is sent again.
func Again(call v1alpha1.ProviderCall) []string {
	var names []string
	for _, rule := range call.Response.Failures {
		names = slices.AppendSeq(names, maps.Keys(rule.Outputs))
	}
	return names
}

// Known is what the expressions of one description may use.
type Known struct {
	inputs    v1alpha1.ProviderInputs
	published []string // the outputs that go to the target, sorted
	prepared  []string // the outputs of the calls of prepare so far
}

// Of works out what is known to all calls.
func Of(spec v1alpha1.ClusterTokenProviderSpec) *Known {
	names := map[string]bool{}
	calls := append([]v1alpha1.ProviderCall{}, spec.Finish...)
	for _, call := range []*v1alpha1.ProviderCall{spec.Refresh, spec.Login} {
		if call != nil {
			calls = append(calls, *call)
		}
	}
	for _, call := range calls {
		for name := range call.Response.Outputs {
			names[name] = true
		}
	}
	return &Known{inputs: spec.Inputs, published: slices.Sorted(maps.Keys(names))}
}

// Published are the outputs that go to the target, sorted.
func (k *Known) Published() []string { return k.published }

// LoginKeys are the keys of the login Secret.
func (k *Known) LoginKeys() []string {
	var names []string
	for _, key := range k.inputs.Login {
		names = append(names, string(key))
	}
	return names
}

// AddPrepared makes known what a call of prepare gives: to the calls after it.
func (k *Known) AddPrepared(call v1alpha1.ProviderCall) {
	k.prepared = slices.AppendSeq(k.prepared, maps.Keys(call.Response.Outputs))
}

// In gives the environments that the requests and the responses of a scope are compiled in.
func (k *Known) In(s Scope) (requests, responses *expression.Environment) {
	made, err := environments()
	if err != nil {
		panic(err) // the declarations in environments contradict each other
	}
	shared := k.variables(s)
	responses = made[1].With(shared...)
	const early = "is not known yet: a request is built before there is a reply (outputs.<name> is from the last one)"
	requests = made[0].With(append(shared,
		expression.Integer(Status).Refused("status "+early),
		expression.AnyMap(Headers, nil).Refused("headers "+early),
		expression.Any(Body).Refused("body "+early),
	)...)
	return requests, responses
}

// variables of a scope, those that a reply adds aside.
func (k *Known) variables(s Scope) []expression.Variable {
	var parameters []string
	for _, parameter := range k.inputs.Parameters {
		parameters = append(parameters, parameter.Name)
	}
	app, certificate := []string{"key", "secret"}, []string{"certificate", "key"}
	if k.inputs.App == v1alpha1.None {
		app = nil
	}
	if k.inputs.ClientCertificate == v1alpha1.None {
		certificate = nil
	}
	outputs := slices.Concat(k.published, k.prepared, s.Again)
	if s.Authorization != nil {
		outputs = slices.Concat(k.prepared, s.Again)
	}
	slices.Sort(outputs)
	refreshToken, accessToken := expression.Text(RefreshToken), expression.Text(AccessToken)
	authorization := expression.TextMap(Authorization, s.Authorization)
	switch {
	case s.Authorization != nil:
		const before = "is not known before a person has granted access"
		refreshToken, accessToken = refreshToken.Refused("refreshToken "+before), accessToken.Refused("accessToken "+before)
	case s.SpendsNothing:
		refreshToken = refreshToken.Refused("refreshToken is not known in a call of prepare, which must spend nothing: use it in refresh")
	}
	if s.Authorization == nil {
		authorization = authorization.Refused("authorization is known in spec.authorize alone")
	}
	serviceAccountToken := expression.Text(ServiceAccountToken)
	if k.inputs.ServiceAccountToken == nil {
		serviceAccountToken = serviceAccountToken.Refused("serviceAccountToken is not known: declare spec.inputs.serviceAccountToken, with the audience that the token is for")
	}
	return []expression.Variable{
		expression.TextMap(App, app),
		refreshToken, accessToken,
		expression.TextMap(Login, k.LoginKeys()),
		expression.TextMap(ClientCertificate, certificate),
		serviceAccountToken,
		expression.TextMap(Parameters, parameters),
		expression.AnyMap(Outputs, append([]string{}, slices.Compact(outputs)...)),
		authorization,
	}
}

// InParametersAlone gives the environment in which parameters are all that expressions may
// use: for what is decided before anything is read.
func (k *Known) InParametersAlone() *expression.Environment {
	requests, _ := k.In(Scope{})
	const why = " is not known here: parameters.<name> alone may be used"
	refused := []expression.Variable{
		expression.TextMap(App, nil), expression.Text(RefreshToken), expression.Text(AccessToken),
		expression.TextMap(Login, nil), expression.TextMap(ClientCertificate, nil),
		expression.Text(ServiceAccountToken), expression.AnyMap(Outputs, nil), expression.Timestamp(Now),
		expression.UUID(),
	}
	for i, variable := range refused {
		refused[i] = variable.Refused(variable.Name() + why)
	}
	return requests.With(refused...)
}
