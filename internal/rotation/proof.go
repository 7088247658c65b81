// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
)

// keyProof is where the proof stands in a state Secret. A version that does not know it
// leaves it alone: it names its token, and proves nothing of another.
const keyProof = "proven"

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
	return proven && s.Attempt == nil && !s.copied && !s.Lost()
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

// AtStake reports whether a change must be saved, however often the API server refuses:
// what was sent under the claim may be spent, or the proven token is, and what the change
// brings is nowhere else.
func (s State) AtStake(change Change) bool {
	if s.Attempt != nil {
		return true
	}
	next, ok := change(s)
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

// provenIn keys the digest of a proven token. A Secret without a UID cannot be told from
// a copy of it.
func (s *Store) provenIn(secret *corev1.Secret, proof Proof) string {
	if secret.UID == "" {
		return ""
	}
	return s.Key.Of("proof in "+string(secret.UID)+" of "+s.Cluster+" at "+proof.Origin, proof.Token)
}

// writeProof writes the proof of the live token, if there is one.
func (s *Store) writeProof(stored *corev1.Secret, next State) error {
	proof := next.Proof
	isOfAnother := proof.Token != next.RefreshToken.Digest()
	proof.Token = s.provenIn(stored, proof)
	return encodeJSON(stored.Data, keyProof, proof, isOfAnother || proof.Token == "", json.Marshal)
}

// readProof reads the proof of a state's live token. One that is damaged, or of another
// token or Secret, is none.
func (s *Store) readProof(stored *corev1.Secret, state State) Proof {
	var proof Proof
	if json.Unmarshal(stored.Data[keyProof], &proof) != nil {
		return Proof{}
	}
	written := proof.Token
	if proof.Token = state.RefreshToken.Digest(); proof.Token == "" || written != s.provenIn(stored, proof) {
		return Proof{}
	}
	return proof
}
