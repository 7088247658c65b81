// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Authorize is how a person grants access.
type Authorize struct {
	// PKCE is how a code is bound to whoever asked for it.
	PKCE v1alpha1.PKCEMethod
	// Page is where a person grants access (the URL of its request), and Code turns the
	// code that comes of it into tokens; nil where a device alone can.
	Page, Code *Call
	// Device asks for the codes of a device, which its outcome's outputs hold
	// (DeviceCodeOutput and its kin), and DeviceToken turns them into tokens; nil where
	// a browser alone can.
	Device, DeviceToken *Call
}

// Authorization is what is known of a person's grant while it is under way. What is not
// known yet is left zero.
type Authorization struct {
	// RedirectURI is where the browser comes back to; State is what it brings back.
	RedirectURI, State string
	// Scope is what the user asks for; empty: nothing in particular.
	Scope string
	// CodeChallenge is what CodeVerifier hashes to (RFC 7636).
	CodeChallenge string
	CodeVerifier  secret.Text
	// Code and DeviceCode stand for the grant until there are tokens.
	Code, DeviceCode secret.Text
}

// The outputs of the call Device.
const (
	DeviceCodeOutput              = "deviceCode"
	UserCodeOutput                = "userCode"
	VerificationURIOutput         = "verificationURI"
	VerificationURICompleteOutput = "verificationURIComplete"
	IntervalOutput                = "interval"
	ExpiresInOutput               = "expiresIn"
)

// variable gives the value of the variable authorization: what is known, in clear.
func (a Authorization) variable() map[string]string {
	if a == (Authorization{}) {
		return nil
	}
	values := map[string]string{}
	for name, value := range map[string]string{
		variable.RedirectURIField: a.RedirectURI, variable.StateField: a.State, variable.ScopeField: a.Scope, variable.CodeChallengeField: a.CodeChallenge,
		variable.CodeVerifierField: a.CodeVerifier.Reveal(), variable.CodeField: a.Code.Reveal(), variable.DeviceCodeField: a.DeviceCode.Reveal(),
	} {
		if value != "" {
			values[name] = value
		}
	}
	return values
}
