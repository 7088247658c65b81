// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
)

// Provider is a compiled description. It is read-only and safe for concurrent
// use.
type Provider struct {
	// Name of the provider.
	Name string
	// App and RefreshToken say what a credential must bring. They are never
	// empty: where the spec is silent they follow from what its requests use.
	App, RefreshToken v1alpha1.InputRequirement
	// LoginKeys are the keys that the login Secret must hold.
	LoginKeys []string
	// ClientCertificate says whether a credential must bring one.
	ClientCertificate v1alpha1.InputRequirement
	// ServiceAccountToken says what token of a service account is wanted; nil: none.
	ServiceAccountToken *ServiceAccountToken
	// Prepare are the calls before Refresh or Login, in order.
	Prepare []*Call
	// Refresh and Login are the calls; nil where the provider has none.
	Refresh, Login *Call
	// Finish are the calls after Refresh or Login, in order, once its tokens are saved.
	Finish []*Call
	// Revoke ends a grant; nil where the provider has no such call.
	Revoke *Call
	// Authorize says how a person grants access; nil where the provider does not say.
	Authorize *Authorize
	// EarliestRenewal is the percentage of a lifetime before which the provider refuses
	// to renew a token.
	EarliestRenewal int
	// Rotation says what becomes of a refresh token that was used.
	Rotation Rotation
	// RateLimit bounds all calls of the provider together; nil: none.
	RateLimit *RateLimit
	// NeedsLogin is true where a call other than Login uses the keys of the login Secret:
	// then a credential brings it, whether it has a refresh token or not.
	NeedsLogin bool
	// RemembersReply is true where a call builds on the last reply (accessToken or
	// outputs), which then has to be kept.
	RemembersReply bool
	// Outputs are the names of the outputs that are published, those of Refresh, Login
	// and Finish, sorted.
	Outputs []string

	parameters []parameter
}

// ServiceAccountToken says what token of a service account a provider takes.
type ServiceAccountToken struct {
	// Expiration is how long the token is to live.
	Expiration time.Duration
	// Optional is true where a credential may do without one.
	Optional bool

	audience *expression.Template
}

// Audience is whom the token is for, given the parameters as Provider.Parameters gave
// them. Its error holds no secret.
func (t *ServiceAccountToken) Audience(parameters map[string]string) (string, error) {
	audience, present, err := t.audience.Text(map[string]any{parametersVariable: parameters})
	if err == nil && (!present || audience == "") {
		err = errors.New("spec.inputs.serviceAccountToken.audience gives no audience for these parameters")
	}
	return audience, err
}

// Rotation says what becomes of a refresh token that was used.
type Rotation struct {
	Mode             v1alpha1.RotationMode
	ReuseWindow      time.Duration // how long a spent token is still honoured
	OnUnknownOutcome v1alpha1.UnknownOutcomePolicy
}

// RateLimit allows so many requests in each period.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

// Call is one compiled call.
type Call struct {
	role      role
	request   request
	response  response
	lifetimes lifetime.Assumed // where a reply states none
	// maySpend is true for a refresh that may spend its token, where a reply that
	// says nothing must not pass for one that spent nothing.
	maySpend bool
}

// ExtendsToken reports whether the call may extend the access token that is there, and
// says so: its description names that one as what the reply brings.
func (c *Call) ExtendsToken() bool {
	return c.response.accessToken != nil && c.response.accessToken.Uses(accessTokenVariable)
}

// request is a compiled request; a nil template is absent.
type request struct {
	method string
	url    *expression.Template
	// hostFromReply is true where the last reply has a say in which host is called.
	hostFromReply bool
	query         []pair
	form          []pair // nil: no form
	json          node   // nil: no JSON
	headers       []pair
	username      *expression.Template
	password      *expression.Template
	formEncoded   bool
}

// pair is a named value of a query, a form or the headers.
type pair struct {
	name  string
	value *expression.Template
}

// response says how a reply is read; a nil expression is absent.
type response struct {
	prefix                string
	format                v1alpha1.ResponseFormat
	success               *expression.Expression
	accessToken           *expression.Expression
	refreshToken          *expression.Expression
	tokenType             *expression.Expression
	expiresIn             *expression.Expression
	expiresAt             *expression.Expression
	refreshTokenExpiresIn *expression.Expression
	refreshTokenExpiresAt *expression.Expression
	outputs               map[string]*expression.Expression
	failures              []failure
	standardFailures      bool // whether the standard ones follow
	retryAfter            *expression.Expression
	message               *expression.Expression
}

type failure struct {
	when   *expression.Expression
	reason string
	// outputs are for the call that is sent again.
	outputs map[string]*expression.Expression
}
