// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"time"
)

// Options are the switches of a Simulator. The zero value is the reading of the
// providers that the product takes by default; a zero field always means its
// default, so a partial Options is fine.
type Options struct {
	// Clock tells the time by which tokens are issued, spent and expired. The
	// delays of faults and the certificates go by the real time. Default:
	// time.Now.
	Clock func() time.Time `json:"-"`

	// NewToken makes the text of a token. Default: 256 random bits, and for
	// Oracle Commerce a JWT like the one of its documentation. A text that was
	// issued before takes the older token's place.
	NewToken func(TokenRequest) string `json:"-"`

	// Faults decides about each call that no queued fault matches; nil from it
	// means that the call is answered properly. It runs on the caller's
	// goroutine, before the simulator acts, and may be called concurrently.
	Faults func(Call) *Fault `json:"-"`

	// Observe is told of each call once its answer is decided, just before it
	// is sent. It may be called concurrently.
	Observe func(Entry) `json:"-"`

	// LogSize is how many calls the log keeps. Default: 1024.
	LogSize int `json:"logSize,omitempty"`

	// HistorySize is how many refresh tokens of each grant are remembered, the
	// current one included. An older one is refused as unknown. Default: 256,
	// at least 2.
	HistorySize int `json:"historySize,omitempty"`

	MCS    MCSOptions    `json:"mcs,omitzero"`
	Xiaomi XiaomiOptions `json:"xiaomi,omitzero"`
	Oracle OracleOptions `json:"oracle,omitzero"`
	OAuth  OAuthOptions  `json:"oauth,omitzero"`
}

// Mode says what becomes of a refresh token when another takes its place.
type Mode string

const (
	// Reusable: the older token still works.
	Reusable Mode = "Reusable"
	// SingleUse: the older token is spent.
	SingleUse Mode = "SingleUse"
)

// NewRefreshToken says how often a refresh brings another refresh token.
type NewRefreshToken string

const (
	// Always brings another refresh token with each refresh.
	Always NewRefreshToken = "Always"
	// Sometimes brings another with each Every-th refresh of a grant.
	Sometimes NewRefreshToken = "Sometimes"
	// Never brings another: the token of the grant stays as it is.
	Never NewRefreshToken = "Never"
)

// Rotation says what a refresh does to the refresh token.
type Rotation struct {
	// Mode defaults to SingleUse for Xiaomi and OAuth, to Reusable for MCS and
	// Oracle Commerce.
	Mode Mode `json:"mode,omitempty"`
	// NewRefreshToken defaults to Never for MCS, to Always for the others.
	NewRefreshToken NewRefreshToken `json:"newRefreshToken,omitempty"`
	// Every is the period of Sometimes. Default: 2, so that the second, the
	// fourth... refresh of a grant brings another token.
	Every int `json:"every,omitempty"`
	// ReuseWindow is how long the last spent token still works. Each use in the
	// window brings another token, which takes the place of the one before.
	ReuseWindow Duration `json:"reuseWindow,omitempty"`
	// RevokeOnReuse ends the whole grant when a spent token comes outside the
	// window.
	RevokeOnReuse bool `json:"revokeOnReuse,omitempty"`
}

func (r Rotation) withDefaults(mode Mode, newToken NewRefreshToken) Rotation {
	r.Mode = cmp.Or(r.Mode, mode)
	r.NewRefreshToken = cmp.Or(r.NewRefreshToken, newToken)
	r.Every = max(cmp.Or(r.Every, 2), 1)
	return r
}

// brings tells whether the n-th refresh of a grant, counted from 1, brings
// another refresh token.
func (r Rotation) brings(n int) bool {
	switch r.NewRefreshToken {
	case Never:
		return false
	case Sometimes:
		return n%r.Every == 0
	default:
		return true
	}
}

// ExpiresIn is the form in which a reply states a lifetime: one of the constants
// below, or any other JSON value to send as it is, such as 3600.5 or null.
type ExpiresIn string

const (
	// ExpiresInNumber states seconds as a number: 3600.
	ExpiresInNumber ExpiresIn = "Number"
	// ExpiresInText states seconds as a string: "3600".
	ExpiresInText ExpiresIn = "Text"
	// ExpiresInMissing leaves the lifetime out.
	ExpiresInMissing ExpiresIn = "Missing"
)

// MCSOptions are the switches of MCS.
type MCSOptions struct {
	// AccessTokenLifetime, default 1h. No reply states it.
	AccessTokenLifetime Duration `json:"accessTokenLifetime,omitempty"`
	// UserTokenLifetime, default two weeks. No reply states it.
	UserTokenLifetime Duration `json:"userTokenLifetime,omitempty"`
	// Rotation of the user token. Whether it changes on refresh is not
	// documented; Rotation.NewRefreshToken says so here.
	Rotation Rotation `json:"rotation,omitzero"`
	// OmitToken leaves the user token out of a refresh's reply.
	OmitToken bool `json:"omitToken,omitempty"`
	// FlatRefresh gives a refresh the flat reply of a login, without results.
	FlatRefresh bool `json:"flatRefresh,omitempty"`
	// AcceptBareAuthorization also takes the Authorization header without
	// "Basic ", as an example of the documentation shows it.
	AcceptBareAuthorization bool `json:"acceptBareAuthorization,omitempty"`
	// RefuseForm takes JSON bodies alone.
	RefuseForm bool `json:"refuseForm,omitempty"`
	// AppError is the refusal of an app. Default: 500, "Invalid or missing
	// client_id parameter", the one error that is documented.
	AppError MCSError `json:"appError,omitzero"`
	// TokenError is the refusal of a user token that is unknown or spent.
	// Default: 500, "Invalid refresh token".
	TokenError MCSError `json:"tokenError,omitzero"`
	// ExpiredError is the refusal of an expired user token. Default: 500,
	// "Refresh token has expired".
	ExpiredError MCSError `json:"expiredError,omitzero"`
	// LoginError is the refusal of an email or password. Default: 500, "User
	// credentials are invalid".
	LoginError MCSError `json:"loginError,omitzero"`
}

// MCSError is an error of MCS: Code is the HTTP status too.
type MCSError struct {
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

func (e MCSError) withDefaults(message string) MCSError {
	return MCSError{Code: cmp.Or(e.Code, 500), Message: cmp.Or(e.Message, message)}
}

// XiaomiPrefix is what a Xiaomi reply begins with.
type XiaomiPrefix string

const (
	// PrefixPlain begins with &&&START&&&.
	PrefixPlain XiaomiPrefix = "Plain"
	// PrefixThenSpace begins with &&&START&&&, a blank and a line feed.
	PrefixThenSpace XiaomiPrefix = "ThenSpace"
	// PrefixNone begins with the JSON.
	PrefixNone XiaomiPrefix = "None"
)

// XiaomiOptions are the switches of Xiaomi.
type XiaomiOptions struct {
	// AccessTokenLifetime, default 360000s as in the documentation's sample;
	// 7776000s and 259200s are seen too.
	AccessTokenLifetime Duration `json:"accessTokenLifetime,omitempty"`
	// RefreshTokenLifetime, default ten years.
	RefreshTokenLifetime Duration `json:"refreshTokenLifetime,omitempty"`
	// Rotation of the refresh token, SingleUse as documented.
	Rotation Rotation `json:"rotation,omitzero"`
	// Prefix of every reply. Default: Plain.
	Prefix XiaomiPrefix `json:"prefix,omitempty"`
	// StraySpaces writes "token_type ", "mac_key " and " HmacSha1", as the
	// documentation's sample does.
	StraySpaces bool `json:"straySpaces,omitempty"`
	// ErrorAsText writes the error code as a string.
	ErrorAsText bool `json:"errorAsText,omitempty"`
	// ErrorStatus is the HTTP status of errors. Default: 200.
	ErrorStatus int `json:"errorStatus,omitempty"`
	// ExpiresIn is the form of expires_in. Default: Number.
	ExpiresIn ExpiresIn `json:"expiresIn,omitempty"`
	// Scope of grants that name none. Default: "1 3".
	Scope string `json:"scope,omitempty"`
	// ContentType of every reply. Default: application/json;charset=UTF-8.
	ContentType string `json:"contentType,omitempty"`
}

// OracleOptions are the switches of Oracle Commerce, store and admin.
type OracleOptions struct {
	// StoreLifetime of a store token, default 15m.
	StoreLifetime Duration `json:"storeLifetime,omitempty"`
	// AdminLifetime of an admin token, default 5m.
	AdminLifetime Duration `json:"adminLifetime,omitempty"`
	// Rotation: what a refresh does to the token it was asked with. The default
	// (Reusable, Always) lets it live to its own expiry.
	Rotation Rotation `json:"rotation,omitzero"`
	// ExpiresIn is the form of expires_in. Default: Number.
	ExpiresIn ExpiresIn `json:"expiresIn,omitempty"`
	// FullErrors writes every member of the error model.
	FullErrors bool `json:"fullErrors,omitempty"`
	// ErrorStatusAsNumber writes an error's status as a number.
	ErrorStatusAsNumber bool `json:"errorStatusAsNumber,omitempty"`
	// AcceptEmptyBody also takes a refresh without a body and Content-Type.
	AcceptEmptyBody bool `json:"acceptEmptyBody,omitempty"`
}

// OAuthOptions are the switches of the OAuth 2.0 server.
type OAuthOptions struct {
	// Paths of the token endpoint. Default: /token, /oauth/token, /oauth2/token.
	Paths []string `json:"paths,omitempty"`
	// AccessTokenLifetime, default 1h.
	AccessTokenLifetime Duration `json:"accessTokenLifetime,omitempty"`
	// RefreshTokenLifetime, default 30 days.
	RefreshTokenLifetime Duration `json:"refreshTokenLifetime,omitempty"`
	// Rotation of the refresh token.
	Rotation Rotation `json:"rotation,omitzero"`
	// RepeatRefreshToken writes the old refresh token into a reply that brings
	// no other one. Default: the member is left out.
	RepeatRefreshToken bool `json:"repeatRefreshToken,omitempty"`
	// ExpiresIn is the form of expires_in. Default: Number.
	ExpiresIn ExpiresIn `json:"expiresIn,omitempty"`
	// TokenType of every reply. Default: Bearer.
	TokenType string `json:"tokenType,omitempty"`
	// ErrorStatus of every error but invalid_client. Default: 400.
	ErrorStatus int `json:"errorStatus,omitempty"`
	// Extra members of each success, appended in the order of their names.
	Extra map[string]any `json:"extra,omitempty"`
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.NewToken == nil {
		o.NewToken = defaultToken
	}
	o.LogSize = cmp.Or(max(o.LogSize, 0), 1024)
	o.HistorySize = max(cmp.Or(o.HistorySize, 256), 2)
	o.MCS = o.MCS.withDefaults()
	o.Xiaomi = o.Xiaomi.withDefaults()
	o.Oracle = o.Oracle.withDefaults()
	o.OAuth = o.OAuth.withDefaults()
	return o
}

func (o MCSOptions) withDefaults() MCSOptions {
	o.AccessTokenLifetime = cmp.Or(o.AccessTokenLifetime, Hour)
	o.UserTokenLifetime = cmp.Or(o.UserTokenLifetime, 14*Day)
	o.Rotation = o.Rotation.withDefaults(Reusable, Never)
	o.AppError = o.AppError.withDefaults("Invalid or missing client_id parameter")
	o.TokenError = o.TokenError.withDefaults("Invalid refresh token")
	o.ExpiredError = o.ExpiredError.withDefaults("Refresh token has expired")
	o.LoginError = o.LoginError.withDefaults("User credentials are invalid")
	return o
}

func (o XiaomiOptions) withDefaults() XiaomiOptions {
	o.AccessTokenLifetime = cmp.Or(o.AccessTokenLifetime, 360000*Second)
	o.RefreshTokenLifetime = cmp.Or(o.RefreshTokenLifetime, 3650*Day)
	o.Rotation = o.Rotation.withDefaults(SingleUse, Always)
	o.Prefix = cmp.Or(o.Prefix, PrefixPlain)
	o.ErrorStatus = cmp.Or(o.ErrorStatus, 200)
	o.ExpiresIn = cmp.Or(o.ExpiresIn, ExpiresInNumber)
	o.Scope = cmp.Or(o.Scope, "1 3")
	o.ContentType = cmp.Or(o.ContentType, "application/json;charset=UTF-8")
	return o
}

func (o OracleOptions) withDefaults() OracleOptions {
	o.StoreLifetime = cmp.Or(o.StoreLifetime, 15*Minute)
	o.AdminLifetime = cmp.Or(o.AdminLifetime, 5*Minute)
	o.Rotation = o.Rotation.withDefaults(Reusable, Always)
	o.ExpiresIn = cmp.Or(o.ExpiresIn, ExpiresInNumber)
	return o
}

func (o OAuthOptions) withDefaults() OAuthOptions {
	if len(o.Paths) == 0 {
		o.Paths = []string{"/token", "/oauth/token", "/oauth2/token"}
	}
	o.AccessTokenLifetime = cmp.Or(o.AccessTokenLifetime, Hour)
	o.RefreshTokenLifetime = cmp.Or(o.RefreshTokenLifetime, 30*Day)
	o.Rotation = o.Rotation.withDefaults(SingleUse, Always)
	o.ExpiresIn = cmp.Or(o.ExpiresIn, ExpiresInNumber)
	o.TokenType = cmp.Or(o.TokenType, "Bearer")
	o.ErrorStatus = cmp.Or(o.ErrorStatus, 400)
	return o
}
