// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/parameters"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
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
	// Declared are the parameters that it takes.
	Declared []parameters.Declared
}

// Parameters checks what a credential sets and fills in the defaults. An empty value counts
// as not set. The error joins every problem at once and says what to write; it does not
// quote the values.
func (p *Provider) Parameters(given map[string]string) (map[string]string, error) {
	return parameters.Values(p.Name, p.Declared, given)
}

// ServiceAccountToken says what token of a service account a provider takes.
type ServiceAccountToken struct {
	// Expiration is how long the token is to live.
	Expiration time.Duration
	// Optional is true where a credential may do without one.
	Optional bool

	// AudienceOf gives whom the token is for, from the parameters alone.
	AudienceOf *expression.Template
}

// Audience is whom the token is for, given the parameters as Provider.Parameters gave
// them. Its error holds no secret.
func (t *ServiceAccountToken) Audience(values map[string]string) (string, error) {
	audience, present, err := t.AudienceOf.Text(map[string]any{variable.Parameters: values})
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
