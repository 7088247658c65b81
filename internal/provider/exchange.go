// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Inputs are what a credential brings to one exchange. What it does not have is
// left zero.
type Inputs struct {
	AppKey, AppSecret, RefreshToken, AccessToken secret.Text
	Login                                        map[string]secret.Text
	Parameters                                   map[string]string // as Provider.Parameters gave them
	Outputs                                      map[string]any    // of the last reply
}

// Exchange is one request and its reply. It is for one use by one goroutine.
type Exchange struct {
	call   *Call
	inputs Inputs
	now    time.Time
	// variables gives the values in clear. It is a function so that fmt finds an
	// address in the struct and no secret.
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
	login := make(map[string]string, len(inputs.Login))
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
	variables := map[string]any{
		appVariable:          app,
		refreshTokenVariable: inputs.RefreshToken.Reveal(),
		accessTokenVariable:  inputs.AccessToken.Reveal(),
		loginVariable:        login,
		parametersVariable:   parameters,
		outputsVariable:      outputs,
		nowVariable:          now,
		expression.UUIDKey:   id,
		expression.BudgetKey: expression.NewBudget(),
	}
	return &Exchange{call: c, inputs: inputs, now: now, variables: func() map[string]any { return variables }}
}
