// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// State is what the state Secret holds. Each transition returns a changed copy
// and leaves the state that it started from alone.
type State struct {
	// RefreshToken is the live one: what the next refresh sends.
	RefreshToken secret.Text
	// PreviousRefreshToken is the one before, for a person to fall back on.
	PreviousRefreshToken secret.Text
	// RefreshTokenExpiresAt is when the live one expires; zero: not known.
	RefreshTokenExpiresAt time.Time

	// Token is the current access token, so that the target can be written again
	// without a call. A Reusable provider that brings no new refresh token leaves
	// it empty: there it is asked for again.
	Token token.Token
	// Unfinished is what has come for a token that is yet to be made; nil: nothing waits.
	Unfinished *Unfinished

	// Sequence counts the replies whose refresh token became or stayed the live
	// one.
	Sequence int64
	// Spent names the tokens that must never be sent again.
	Spent Ledger
	// Seed is the digest of the user's refresh token that was last adopted.
	Seed string
	// PreviousSeed is the digest of the seed that began the grant whose live token
	// is now PreviousRefreshToken. It is set from the adoption of another seed until
	// the provider accepts that one: so long the adoption can be undone.
	PreviousSeed string
	// Origin is what the live token is bound to, PreviousOrigin the one before, and
	// TokenOrigin the access token with what came beside it.
	Origin, PreviousOrigin, TokenOrigin Origin
	// Source is a digest of what the tokens were asked from: the provider and
	// its parameters. When it changes the token is asked for again.
	Source string
	// Identity is the state Secret's own; a copy carries that of its original.
	Identity Identity
	// Attempt is the claim on the live refresh token, while there is one.
	Attempt *Attempt
	// Refused is the digest of a token that the provider does not accept any more, noted
	// where a login can take its place; empty: none is known.
	Refused string
	// Proof that the live token works more than once; zero: nothing is proven.
	Proof Proof

	// copied marks what was read from a copy: its tokens may have been sent by the
	// original.
	copied bool
	// held has what is written count as a copy.
	held bool
	// trusted is a person's word that the copy's tokens were not sent; empty: there is none.
	trusted string
	// ended is the ID of the attempt that the last transition ended rightfully.
	ended string
}

// Identity distinguishes a state Secret from a copy of it: restored from a backup,
// or carried to another cluster.
type Identity struct {
	Secret  string `json:"secret,omitempty"`
	Cluster string `json:"cluster,omitempty"`
}

// differsFrom reports whether a Secret with an identity of its own is a copy. What
// is not known does not differ.
func (i Identity) differsFrom(own Identity) bool {
	return i.Secret != "" && i.Secret != own.Secret || i.Cluster != "" && i.Cluster != own.Cluster
}

// Exchange is what a reply answers.
type Exchange struct {
	// Attempt is the ID of the attempt that the reply ends: the claim under which it
	// was asked for, or, for a login, the unknown outcome that it resolves. Any other
	// attempt in the state belongs to someone else, and stays.
	Attempt string
	// Sent is the refresh token that was sent; zero for a login.
	Sent secret.Text
	// Origin is what the reply is bound to: where a login and what follows it go, or as
	// the refresh token is that was sent; zero: as the live one is.
	Origin Origin
	// Proves is true where the reply shows that the token that was sent works more than
	// once: see Proof.
	Proves bool
}

// Accepts reports whether a reply has a place in the state. Where it does not, the
// state has moved on to another refresh token.
func (s State) Accepts(exchange Exchange) bool {
	switch {
	case s.Attempt.is(exchange.Attempt):
		return true
	case exchange.Sent.IsZero(): // a login needs nothing that is there
		return exchange.Attempt == ""
	case exchange.Sent.Equal(s.RefreshToken):
		return true
	default: // it was live until the user put another seed in its place, which its exchange could not know
		return s.PreviousSeed != "" && exchange.Sent.Equal(s.PreviousRefreshToken)
	}
}

// Commit takes in what a reply brought and ends the attempt of its exchange. The
// refresh token is taken over even when the access token is unusable.
//
// The reply to a token that is no longer the live one changes nothing that is live:
// its refresh token is kept as the previous one, to which the user can go back.
func (s State) Commit(grant token.Grant, exchange Exchange) State {
	fresh := grant.RefreshToken
	rotated := !fresh.IsZero() && !fresh.Equal(exchange.Sent)
	moved := !exchange.Sent.IsZero() && !exchange.Sent.Equal(s.RefreshToken)
	if rotated && !fresh.Equal(s.RefreshToken) {
		if moved {
			s.PreviousRefreshToken = fresh
		} else {
			s.retire()
			s.PreviousRefreshToken, s.RefreshToken = s.RefreshToken, fresh
			s.PreviousOrigin = s.Origin
		}
	}
	if rotated {
		s.Spent = s.Spent.Add(exchange.Sent.Digest()).Remove(fresh.Digest())
	}
	if s.Attempt.is(exchange.Attempt) {
		s.supersede()
	}
	if moved {
		return s
	}
	bindGrant(&s, grant, exchange)
	if exchange.Proves && !rotated {
		s.prove(exchange)
	}
	s.PreviousSeed = "" // the provider accepts the new grant: nothing is left to undo
	if !grant.RefreshTokenExpiresAt.IsZero() || !fresh.IsZero() {
		s.RefreshTokenExpiresAt = grant.RefreshTokenExpiresAt
	}
	if !grant.AccessToken.IsZero() && !grant.Unfinished {
		s.Token = grant.Token
	}
	s.Sequence++
	return s
}

// Lost reports whether the live token is known to be spent, so that it must not be
// sent again.
func (s State) Lost() bool { return s.Spent.Contains(s.RefreshToken.Digest()) }

// Untried reports whether the live token is the seed itself, of which another
// credential may have a copy.
func (s State) Untried() bool { return s.Seed != "" && s.RefreshToken.Digest() == s.Seed }

// retire enters the live token into the ledger if it may have been sent: an
// attempt stands on it, or the original of this copy may have sent it.
func (s *State) retire() {
	if live := s.RefreshToken.Digest(); s.copied || s.Attempt != nil && s.Attempt.Token == live {
		s.Spent = s.Spent.Add(live)
	}
}
