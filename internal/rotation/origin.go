// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Origin is what a secret of the state is bound to: the origins (scheme, host and port,
// in canonical form) that the calls of its grant go to. What the one gave, or was given,
// is not for another to see: whoever may edit a URL could have it sent to a host of
// theirs otherwise.
//
// The zero Origin binds to nothing: a seed that was never sent, or what a version
// before this one kept.
type Origin struct {
	// Refresh and Login are the origins of the provider's calls; empty where it has no
	// such call.
	Refresh string `json:"refresh,omitempty"`
	Login   string `json:"login,omitempty"`
	// Revoke is where a grant is ended.
	Revoke string `json:"revoke,omitempty"`
	// Discovered are the origins that the provider's own documents gave for its calls when
	// the grant began: whoever comes to hold such a document names no others.
	Discovered string `json:"discovered,omitempty"`
}

// IsZero reports whether nothing is bound.
func (o Origin) IsZero() bool { return o == Origin{} }

// Or is the origin itself, or, where it binds to nothing, another: what is bound stays so.
func (o Origin) Or(other Origin) Origin {
	if o.IsZero() {
		return other
	}
	return o
}

// AdmitsRefresh reports whether a refresh that goes to the origin of now may hold what
// is bound to this one.
func (o Origin) AdmitsRefresh(now Origin) bool { return o.IsZero() || o.Refresh == now.Refresh }

// AdmitsDiscovered reports whether calls that go to what was discovered now may hold what
// is bound to this origin.
func (o Origin) AdmitsDiscovered(now string) bool {
	return o.Discovered == "" || now == "" || o.Discovered == now
}

// AdmitsLogin is the same for a login.
func (o Origin) AdmitsLogin(now Origin) bool { return o.IsZero() || o.Login == now.Login }

// bindGrant binds what an exchange brought: a login begins a grant, and a refresh goes on
// with that of the token which was sent.
func bindGrant(s *State, grant token.Grant, exchange Exchange) {
	origin := exchange.Origin.Or(s.Origin) // an earlier process has sent the token, under its claim
	if !exchange.Sent.IsZero() || !grant.RefreshToken.IsZero() {
		s.Origin = origin
	}
	switch {
	case grant.AccessToken.IsZero():
	case grant.Unfinished:
		s.Unfinished = &Unfinished{Token: grant.Token, Origin: origin}
	default:
		s.TokenOrigin, s.Unfinished = origin, nil
	}
}
