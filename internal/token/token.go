// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token has the one type of an access token, from the reply that brings
// it to the target that holds it, and of what comes with it. It holds values
// and decides nothing.
package token

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const (
	// MaxSize is the size of the largest token, in bytes. Servers bound a header to 8 or
	// 16 KiB, so no larger one could be used; and a state Secret holds three of them,
	// with what else it holds and in base64, well within the 1 MiB that etcd takes.
	MaxSize = 32 << 10

	// ShortestRefresh is how long a refresh token must be good for, to be renewed before
	// its own end: what is shorter would make a storm of calls.
	ShortestRefresh = 5 * time.Second

	// MaxOutputs is how much all outputs of a reply take together, in bytes as JSON.
	MaxOutputs = 64 << 10
)

// Validity is the time for which an access token is good. Its zero value is
// that of no token.
type Validity struct {
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Repeated is true where the provider gave the token that was there already: it may
	// have no other before this one's end.
	Repeated bool
}

// Again is for how long a token is good that was given again, with what is stated of it
// now: never for longer than was known before.
func (v Validity) Again(stated Validity) Validity {
	stated.Repeated = true
	if !v.IsZero() && v.ExpiresAt.Before(stated.ExpiresAt) {
		stated.ExpiresAt = v.ExpiresAt
	}
	return stated
}

// Lifetime the token was granted.
func (v Validity) Lifetime() time.Duration { return v.ExpiresAt.Sub(v.IssuedAt) }

// IsZero reports whether there is no token.
func (v Validity) IsZero() bool { return v.ExpiresAt.IsZero() }

// Equal reports whether both are of one token.
func (v Validity) Equal(other Validity) bool {
	return v.IssuedAt.Equal(other.IssuedAt) && v.ExpiresAt.Equal(other.ExpiresAt)
}

// Token is an access token and what its reply said of it.
type Token struct {
	AccessToken secret.Text // zero: there is none
	Type        string      // token_type: bearer, mac
	Validity
	// Outputs that the provider declares: plain JSON values (bool, int64, float64,
	// string, []any, map[string]any).
	Outputs map[string]any
}

// IsZero reports whether there is no access token.
func (t Token) IsZero() bool { return t.AccessToken.IsZero() }

// Grant is what one reply brought.
type Grant struct {
	Token
	RefreshToken          secret.Text // zero: the old one stays
	RefreshTokenExpiresAt time.Time   // zero: not known
	// Unfinished tells that the token is not the one to publish: calls are to make that of
	// it, once this one is saved.
	Unfinished bool
}
