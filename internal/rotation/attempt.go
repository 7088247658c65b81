// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Attempt is a claim on the live refresh token.
type Attempt struct {
	// ID is unique to the attempt.
	ID string `json:"id"`
	// Holder is the process that made it.
	Holder string `json:"holder"`
	// Courier is the instance of the courier that is to carry its exchange: it alone can
	// say that it never received it. Empty: none is known.
	Courier string `json:"courier,omitempty"`
	// Started is when, on the holder's clock.
	Started time.Time `json:"started"`
	// Token is the digest of the token that is about to be sent.
	Token string `json:"token"`
	// Resend marks the one retry of a token whose fate is unknown.
	Resend bool `json:"resend,omitempty"`
	// Overtaken is the digest of the token's successor that another exchange of it has brought
	// since. With a reuse window the provider may have given this attempt a later one, and goes
	// on from that. Empty: none has come.
	Overtaken string `json:"overtaken,omitempty"`
}

// is reports whether this is the attempt of that ID; nil is none.
func (a *Attempt) is(id string) bool { return id != "" && a != nil && a.ID == id }

// inDoubt is the digest of the token that may be spent by the attempt: the one on which it
// stands, or the successor of that; empty: there is none.
func (a *Attempt) inDoubt() string {
	switch {
	case a == nil:
		return ""
	case a.Overtaken != "":
		return a.Overtaken
	}
	return a.Token
}

// overtakenBy is the attempt once an exchange has brought a successor of its token: that of
// another attempt leaves it as it is, but for this.
func (a *Attempt) overtakenBy(exchange Exchange, successor secret.Text) *Attempt {
	if a == nil || a.is(exchange.Attempt) || exchange.Sent.IsZero() || a.Token != exchange.Sent.Digest() {
		return a
	}
	over := *a
	over.Overtaken = successor.Digest()
	return &over
}

// isLater reports whether an exchange is the attempt's own, and its token's successor that is
// here came of one before it.
func (a *Attempt) isLater(exchange Exchange) bool {
	return a.is(exchange.Attempt) && a.Overtaken != "" && a.Token == exchange.Sent.Digest()
}

// Claim announces that the live token is about to be sent. It takes the place of
// the attempt in the state, if there is one: the caller has recovered that.
func (s State) Claim(attempt Attempt) State {
	s.supersede()
	attempt.Token = s.RefreshToken.Digest()
	s.Attempt = &attempt
	return s
}

// Withdraw takes back the claim of that ID: nothing was spent. Where it was to
// retry an attempt of unknown outcome, that one is unresolved and stands again;
// nil: there is none. The claim of anyone else stays.
func (s State) Withdraw(attempt string, unresolved *Attempt) State {
	if s.Attempt.is(attempt) {
		s.supersede()
		s.Attempt = unresolved
	}
	return s
}

// Refuse notes that the provider does not accept the live token any more.
func (s State) Refuse() State {
	s.Refused, s.Proof = s.RefreshToken.Digest(), Proof{}
	return s
}

// Lose gives up the token of the attempt of that ID: it was spent, and its
// successor never arrived. The claim of anyone else stays, and so does its token.
func (s State) Lose(attempt string) State {
	if s.Attempt.is(attempt) {
		s.Spent = s.Spent.Add(s.Attempt.inDoubt())
		s.supersede()
	}
	return s
}

// Sent returns the token on which the attempt in the state stands, as long as the
// state holds it: a login or a new seed may have replaced it meanwhile.
func (s State) Sent() secret.Text {
	for _, held := range []secret.Text{s.RefreshToken, s.PreviousRefreshToken} {
		if s.Attempt != nil && !held.IsZero() && held.Digest() == s.Attempt.Token {
			return held
		}
	}
	return secret.Text{}
}

// supersede removes the attempt in the state, whosoever it is.
func (s *State) supersede() {
	if s.Attempt != nil {
		s.Attempt, s.Ended = nil, s.Attempt.ID
	}
}
