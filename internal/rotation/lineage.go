// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Lineage is what is known of a credential's refresh tokens: which one is live and which
// was before, from which seeds they come, where they belong, and which were spent. What
// becomes of a seed follows from it alone.
type Lineage struct {
	// RefreshToken is the live one: what the next refresh sends.
	RefreshToken secret.Text
	// PreviousRefreshToken is the one before, for a person to fall back on.
	PreviousRefreshToken secret.Text
	// RefreshTokenExpiresAt is when the live one expires; zero: not known.
	RefreshTokenExpiresAt time.Time

	// Spent names the tokens that must never be sent again.
	Spent Ledger
	// Seed is the digest of the user's refresh token that was last adopted.
	Seed string
	// PreviousSeed is the digest of the seed that began the grant whose live token
	// is now PreviousRefreshToken. It is set from the adoption of another seed until
	// the provider accepts that one: so long the adoption can be undone.
	PreviousSeed string
	// Origin is what the live token is bound to, PreviousOrigin the one before.
	Origin, PreviousOrigin Origin
	// Refused is the digest of a token that the provider does not accept any more, noted
	// where a login can take its place; empty: none is known.
	Refused string
	// Copied marks what was read from a copy: its tokens may have been sent by the
	// original.
	Copied bool
}

// Lost reports whether the live token is known to be spent, so that it must not be
// sent again.
func (l Lineage) Lost() bool { return l.Spent.Contains(l.RefreshToken.Digest()) }

// Successor tells where what followed a spent refresh token is kept.
type Successor string

const (
	// SuccessorLost: nowhere, since it never arrived or was spent too.
	SuccessorLost Successor = "Lost"
	// SuccessorLive: it is the live token.
	SuccessorLive Successor = "Live"
	// SuccessorPrevious: it is the token before, since another seed was adopted that the
	// provider has not accepted yet.
	SuccessorPrevious Successor = "Previous"
	// SuccessorUnsure: nothing tells whether the live token is of the same grant.
	SuccessorUnsure Successor = "Unsure"
)

// SuccessorOf tells where what followed a token of this digest is kept, which is spent.
func (l Lineage) SuccessorOf(digest string) Successor {
	where, kept := SuccessorUnsure, l.RefreshToken
	switch digest {
	case l.Seed:
		where = SuccessorLive
	case l.PreviousSeed:
		where, kept = SuccessorPrevious, l.PreviousRefreshToken
	}
	if d := kept.Digest(); d == "" || d == digest || l.Spent.Contains(d) {
		return SuccessorLost
	}
	return where
}

// Untried reports whether the live token is the seed itself, of which another
// credential may have a copy.
func (l Lineage) Untried() bool { return l.Seed != "" && l.RefreshToken.Digest() == l.Seed }

// IsRefused reports whether the provider is known not to accept the live token any more. A
// user who gives a refresh token, be it this one, states that it is good.
func (l Lineage) IsRefused() bool { return l.Refused != "" && l.Refused == l.RefreshToken.Digest() }

// HasMoved reports whether the live token must not be sent, since a refresh goes to
// another origin now than the one that gave it or was given it.
func (l Lineage) HasMoved(now Origin) bool {
	return !l.RefreshToken.IsZero() && now.Refresh != "" && !l.Origin.AdmitsRefresh(now)
}

// retire enters the live token into the ledger if it may have been sent: an
// attempt stands on it, that is, on the token of the digest claimed, or the original of
// this copy may have sent it.
func (l *Lineage) retire(claimed string) {
	if live := l.RefreshToken.Digest(); l.Copied || claimed == live {
		l.Spent = l.Spent.Add(live)
	}
}

// boundTo is what a token is bound to that is to become the live one: as it was, where the
// lineage holds it already. A seed that is new here was never sent.
func (l Lineage) boundTo(fresh secret.Text) Origin {
	switch {
	case fresh.Equal(l.RefreshToken):
		return l.Origin
	case fresh.Equal(l.PreviousRefreshToken):
		return l.PreviousOrigin
	default:
		return Origin{}
	}
}
