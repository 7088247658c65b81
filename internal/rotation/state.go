// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// State is what the state Secret holds. Each transition returns a changed copy
// and leaves the state that it started from alone.
type State struct {
	// Lineage of the refresh tokens.
	Lineage

	// Token is the current access token, so that the target can be written again
	// without a call. A Reusable provider that brings no new refresh token leaves
	// it empty: there it is asked for again.
	Token token.Token
	// Unfinished is what has come for a token that is yet to be made; nil: nothing waits.
	Unfinished *Unfinished

	// Sequence counts the replies whose refresh token became or stayed the live
	// one.
	Sequence int64
	// TokenOrigin is what the access token is bound to, with what came beside it.
	TokenOrigin Origin
	// Source is a digest of what the tokens were asked from: the provider and
	// its parameters. When it changes the token is asked for again.
	Source string
	// Identity is the state Secret's own; a copy carries that of its original.
	Identity Identity
	// Attempt is the claim on the live refresh token, while there is one.
	Attempt *Attempt
	// Proof that the live token works more than once; zero: nothing is proven.
	Proof Proof

	// Held has what is written count as a copy, until a person gives another seed or says
	// that its tokens can be trusted.
	Held bool
	// Trusted is a person's word that the copy's tokens were not sent; empty: there is none.
	Trusted string
	// Ended is the ID of the attempt that the last transition ended rightfully.
	Ended string
}

// Identity distinguishes a state Secret from a copy of it: restored from a backup,
// or carried to another cluster.
type Identity struct {
	Secret  string `json:"secret,omitempty"`
	Cluster string `json:"cluster,omitempty"`
}

// DiffersFrom reports whether a Secret with an identity of its own is a copy. What
// is not known does not differ.
func (i Identity) DiffersFrom(own Identity) bool {
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
// its refresh token is kept as the previous one, to which the user can go back. It is
// otherwise where the claim still stands under which the token was sent once more: then
// the successor that is live came of the time before, and of two successors the provider
// goes on from the one that it gave last. Such a claim is marked as overtaken.
func (s State) Commit(grant token.Grant, exchange Exchange) State {
	fresh := grant.RefreshToken
	rotated := !fresh.IsZero() && !fresh.Equal(exchange.Sent)
	moved := !exchange.Sent.IsZero() && !exchange.Sent.Equal(s.RefreshToken) && !s.Attempt.isLater(exchange)
	if rotated && !fresh.Equal(s.RefreshToken) {
		if moved {
			s.PreviousRefreshToken = fresh
		} else {
			s.retire(s.Attempt.inDoubt())
			s.PreviousRefreshToken, s.RefreshToken = s.RefreshToken, fresh
			s.PreviousOrigin = s.Origin
		}
	}
	if rotated {
		s.Spent = s.Spent.Add(exchange.Sent.Digest()).Remove(fresh.Digest())
		s.Attempt = s.Attempt.overtakenBy(exchange, fresh)
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
