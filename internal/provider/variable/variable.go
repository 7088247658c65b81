// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package variable has the names of the variables that a description's expressions use, and
// says which of them are known where. It has no values, and compiles nothing.
package variable

import "slices"

// The names of the variables.
const (
	App                 = "app"
	RefreshToken        = "refreshToken"
	AccessToken         = "accessToken"
	Login               = "login"
	ClientCertificate   = "clientCertificate"
	ServiceAccountToken = "serviceAccountToken"
	Parameters          = "parameters"
	Outputs             = "outputs"
	Now                 = "now"
	Authorization       = "authorization"
	Status              = "status"
	Headers             = "headers"
	Body                = "body"
)

// The fields of the variable authorization.
const (
	RedirectURIField   = "redirectURI"
	StateField         = "state"
	ScopeField         = "scope"
	CodeChallengeField = "codeChallenge"
	CodeVerifierField  = "codeVerifier"
	CodeField          = "code"
	DeviceCodeField    = "deviceCode"
)

// Part is an expression or a template of a call.
type Part interface {
	// Uses reports whether it names a variable.
	Uses(variable string) bool
	// Fields are those that it names of a variable; whole tells that it names the variable
	// itself.
	Fields(variable string) (fields []string, whole bool)
}

// AnyUses reports whether one of the parts names a variable.
func AnyUses(parts []Part, variable string) bool {
	return slices.ContainsFunc(parts, func(part Part) bool { return part.Uses(variable) })
}
