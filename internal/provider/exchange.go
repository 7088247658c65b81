// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Inputs are what a credential brings to one exchange. What it does not have is
// left zero.
type Inputs struct {
	AppKey, AppSecret, RefreshToken, AccessToken secret.Text
	Login                                        map[string]secret.Text
	Parameters                                   map[string]string // as Provider.Parameters gave them
	Outputs                                      map[string]any    // of the last reply, those of prepare calls overlaid
	// ClientCertificate and ClientKey are what the connection presents, in PEM.
	ClientCertificate, ClientKey secret.Text
	// ServiceAccountToken is the token of the credential's service account.
	ServiceAccountToken secret.Text
	// Authorization is what is known of a person's grant, in the calls of Authorize.
	Authorization Authorization
	// Hidden are the credential's other secrets: no request uses them, and a reply may
	// quote them all the same.
	Hidden []secret.Text
}

// Exchange is one request and its reply. It is for one use by one goroutine.
type Exchange struct {
	call   *Call
	inputs Inputs
	now    time.Time
	// variables gives the values in clear; those of a reply are added when it is read.
	// It is a function so that fmt finds an address in the struct and no secret.
	variables func() map[string]any
}

// Begin starts an exchange. now, and id as the value of uuid(), stay the same
// throughout.
func (c *Call) Begin(inputs Inputs, now time.Time, id string) *Exchange {
	app := map[string]string{}
	if !inputs.AppKey.IsZero() {
		app["key"] = inputs.AppKey.Reveal()
	}
	if !inputs.AppSecret.IsZero() {
		app["secret"] = inputs.AppSecret.Reveal()
	}
	var login map[string]string
	if len(inputs.Login) > 0 {
		login = make(map[string]string, len(inputs.Login))
	}
	for key, value := range inputs.Login {
		login[key] = value.Reveal()
	}
	parameters, outputs := inputs.Parameters, inputs.Outputs
	if parameters == nil {
		parameters = map[string]string{}
	}
	if outputs == nil {
		outputs = map[string]any{}
	}
	var certificate map[string]string
	if !inputs.ClientCertificate.IsZero() {
		certificate = map[string]string{"certificate": inputs.ClientCertificate.Reveal(), "key": inputs.ClientKey.Reveal()}
	}
	variables := map[string]any{
		variable.App:          app,
		variable.RefreshToken: inputs.RefreshToken.Reveal(),
		variable.AccessToken:  inputs.AccessToken.Reveal(),
		variable.Login:        login,

		variable.ClientCertificate:   certificate,
		variable.ServiceAccountToken: inputs.ServiceAccountToken.Reveal(),
		variable.Authorization:       inputs.Authorization.variable(),

		variable.Parameters:  parameters,
		variable.Outputs:     outputs,
		variable.Now:         now,
		expression.UUIDKey:   id,
		expression.BudgetKey: expression.NewBudget(),
	}
	return &Exchange{call: c, inputs: inputs, now: now, variables: func() map[string]any { return variables }}
}

// Again is the same call once more, with these outputs over those it had: what its
// reply asked for (Outcome.SendAgain). now stays; id is the value of uuid(), and has to
// be another one, since a provider takes each jti once.
func (e *Exchange) Again(outputs map[string]any, id string) *Exchange {
	inputs := e.inputs
	inputs.Outputs = maps.Clone(inputs.Outputs)
	if inputs.Outputs == nil {
		inputs.Outputs = map[string]any{}
	}
	maps.Copy(inputs.Outputs, outputs)
	return e.call.Begin(inputs, e.now, id)
}

// Request builds what is to be sent. Its error says what the description or the
// inputs lack, and holds no secret.
func (e *Exchange) Request(ctx context.Context) (*http.Request, error) {
	return e.call.Request.Build(ctx, e.variables())
}

// URL is the address of the request, without what its query adds.
func (e *Exchange) URL() (*url.URL, error) { return e.call.Request.Address(e.variables()) }
