// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

// Proof that a refresh token works more than once: it was sent, answered with an access
// token, and no other refresh token came. So nothing was spent, and where the answer to
// it is lost next time it can be sent again. A server may begin to rotate later: then
// the reply brings another token, of which nothing is proven.
//
// In the Secret the token's digest is keyed for that very Secret, of that cluster, and for
// the origin, so that a copy proves nothing.
type Proof struct {
	// Attempt in which it was proven. Under its ID the reply to a later exchange of the
	// token is spooled, which has no claim of its own.
	Attempt string `json:"attempt"`
	// Token is the digest of the token.
	Token string `json:"token"`
	// Origin that has answered.
	Origin string `json:"origin"`
}

// Proven reports whether the live token is known to work more than once. It is not while
// an attempt stands, or where the token may have been sent by somebody else since: of a
// copy nothing is known.
func (s State) Proven() bool {
	proven := s.Proof.Token != "" && s.Proof.Token == s.RefreshToken.Digest() && s.Proof.Origin == s.Origin.Refresh
	return proven && s.Attempt == nil && !s.Copied && !s.Lost()
}

// prove notes that the live token was sent in an exchange and is as good as before.
func (s *State) prove(exchange Exchange) {
	s.Proof = Proof{Attempt: exchange.Attempt, Token: exchange.Sent.Digest(), Origin: s.Origin.Refresh}
}

// Disprove takes the proof back: the provider refuses the live token.
func (s State) Disprove() State {
	s.Proof = Proof{}
	return s
}

// LoseProven gives up the live token, which was sent without a claim: it was spent, and
// its successor cannot be kept.
func (s State) LoseProven() State {
	s.Spent = s.Spent.Add(s.RefreshToken.Digest())
	return s
}

// Change is a transition that a commit makes durable. It is called again whenever
// someone else has changed the Secret, and returns false where what is stored has
// moved on, so that the transition has no place any more (see State.Accepts).
type Change func(stored State) (next State, ok bool)

// AtStake reports whether the change of a state must be saved, however often the API server
// refuses: what was sent under the claim may be spent, or the proven token is, and what the
// change brings is nowhere else.
func (c Change) AtStake(s State) bool {
	if s.Attempt != nil {
		return true
	}
	next, ok := c(s)
	return ok && s.Proven() && (next.Lost() || !next.RefreshToken.Equal(s.RefreshToken))
}

// Spooled names the exchange whose reply an earlier process may have left in the spool,
// and gives the token that was sent in it.
func (s State) Spooled() Exchange {
	switch {
	case s.Attempt != nil:
		return Exchange{Attempt: s.Attempt.ID, Sent: s.Sent()}
	case s.Proven():
		return Exchange{Attempt: s.Proof.Attempt, Sent: s.RefreshToken}
	}
	return Exchange{}
}
