// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
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
	// Refresh and Login are the calls; nil where the provider has none.
	Refresh, Login *Call
	// Rotation says what becomes of a refresh token that was used.
	Rotation Rotation
	// RateLimit bounds all calls of the provider together; nil: none.
	RateLimit *RateLimit
	// RemembersReply is true where a call builds on the last reply (accessToken or
	// outputs), which then has to be kept.
	RemembersReply bool
	// Outputs are the names of the outputs of both calls, sorted.
	Outputs []string

	parameters []parameter
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
	request   request
	response  response
	lifetimes lifetimes
	// maySpend is true for a refresh that may spend its token, where a reply that
	// says nothing must not pass for one that spent nothing.
	maySpend bool
}

// lifetimes hold where a reply states none.
type lifetimes struct {
	access  time.Duration
	refresh time.Duration // 0: not known
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
	message               *expression.Expression
}

type failure struct {
	when   *expression.Expression
	reason string
}
