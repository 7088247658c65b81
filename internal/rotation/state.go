// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// State is what the state Secret holds.
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

	// Sequence counts the commits.
	Sequence int64
	// Spent names the tokens that must never be sent again.
	Spent Ledger
	// Seed is the digest of the user's refresh token that was last adopted.
	Seed string
	// Source is a digest of what the tokens were asked from: the provider and
	// its parameters. When it changes the token is asked for again.
	Source string
	// Identity is the state Secret's own; a copy carries that of its original.
	Identity Identity
	// Attempt is the claim on the live refresh token, while there is one.
	Attempt *Attempt
}

// Identity tells a state Secret from a copy of it: restored from a backup, or
// carried to another cluster.
type Identity struct {
	Secret  string `json:"secret,omitempty"`
	Cluster string `json:"cluster,omitempty"`
}

// differsFrom tells a copy from its original. What is not known does not differ.
func (i Identity) differsFrom(own Identity) bool {
	return i.Secret != "" && i.Secret != own.Secret || i.Cluster != "" && i.Cluster != own.Cluster
}

// SeedVerdict is what becomes of the user's refresh token.
type SeedVerdict string

const (
	// SeedUnchanged: it was adopted before, or there is none.
	SeedUnchanged SeedVerdict = "Unchanged"
	// SeedNew: it replaces the live token.
	SeedNew SeedVerdict = "New"
	// SeedSpent: it was spent before, so it is ignored.
	SeedSpent SeedVerdict = "Spent"
)

// Judge says what becomes of a seed.
func (s State) Judge(seed secret.Text) SeedVerdict {
	digest := seed.Digest()
	switch {
	case digest == "", digest == s.Seed, seed.Equal(s.RefreshToken):
		return SeedUnchanged
	case s.Spent.Contains(digest):
		return SeedSpent
	default:
		return SeedNew
	}
}

// Judge says what becomes of a seed. The live token of a state that is a copy may
// be given as a seed: it is its user's word that it was not spent since. A seed
// that was adopted before the copy was made is nobody's word.
func (r *Record) Judge(seed secret.Text) SeedVerdict {
	if r.Copied && !seed.IsZero() && seed.Equal(r.State.RefreshToken) && seed.Digest() != r.State.Seed {
		return SeedNew
	}
	return r.State.Judge(seed)
}

// Adopt makes a new seed the live token. What it replaces counts as spent: the
// user has given it up. A claim on the old token ends with it.
func (s State) Adopt(seed secret.Text) State {
	s.replace(seed)
	s.RefreshTokenExpiresAt = time.Time{}
	s.Seed = seed.Digest()
	s.Attempt = nil
	return s
}

// Claim announces that the live token is about to be sent.
func (s State) Claim(attempt Attempt) State {
	attempt.Token = s.RefreshToken.Digest()
	s.Attempt = &attempt
	return s
}

// Withdraw takes a claim back: nothing was spent.
func (s State) Withdraw() State {
	s.Attempt = nil
	return s
}

// Lose gives the live token up: it was spent, and its successor never arrived.
func (s State) Lose() State {
	s.Spent = s.Spent.Add(s.RefreshToken.Digest())
	s.Attempt = nil
	return s
}

// Lost tells whether the live token is known to be spent, so that it must not be
// sent again.
func (s State) Lost() bool { return s.Spent.Contains(s.RefreshToken.Digest()) }

// Untried tells whether the live token is the seed itself, of which another
// credential may have a copy.
func (s State) Untried() bool { return s.Seed != "" && s.RefreshToken.Digest() == s.Seed }

// Commit takes in what a reply brought and ends the claim. The refresh token is
// taken over even when the access token is unusable.
func (s State) Commit(grant token.Grant) State {
	if !grant.RefreshToken.IsZero() && !grant.RefreshToken.Equal(s.RefreshToken) {
		s.replace(grant.RefreshToken)
	}
	if !grant.RefreshTokenExpiresAt.IsZero() || !grant.RefreshToken.IsZero() {
		s.RefreshTokenExpiresAt = grant.RefreshTokenExpiresAt
	}
	if !grant.AccessToken.IsZero() {
		s.Token = grant.Token
	}
	s.Sequence++
	s.Attempt = nil
	return s
}

// WithoutAccessToken forgets the access token and what came with it, of which
// the target then holds the only copy.
func (s State) WithoutAccessToken() State {
	s.Token = token.Token{}
	return s
}

// replace makes a token the live one and moves the one before to the ledger.
// Whoever hands out a token says that it is not spent.
func (s *State) replace(fresh secret.Text) {
	if !s.RefreshToken.IsZero() && !s.RefreshToken.Equal(fresh) {
		s.PreviousRefreshToken = s.RefreshToken
		s.Spent = s.Spent.Add(s.RefreshToken.Digest())
	}
	s.RefreshToken = fresh
	s.Spent = s.Spent.Remove(fresh.Digest())
}

// Ledger is a list of digests of spent tokens, oldest first. It is bounded: a
// token that left it long ago is refused by its provider anyway, and a seed that
// a GitOps tool puts back is the same one each time.
type Ledger []string

// ledgerSize keeps the state Secret under 20 KiB: 512 digests of 32 characters.
const ledgerSize = 512

// Contains tells whether a digest is in the ledger.
func (l Ledger) Contains(digest string) bool { return slices.Contains(l, digest) }

// Remove returns a ledger without the digest.
func (l Ledger) Remove(digest string) Ledger {
	if !l.Contains(digest) {
		return l
	}
	return slices.DeleteFunc(slices.Clone(l), func(spent string) bool { return spent == digest })
}

// Add returns a ledger with the digest as its newest entry.
func (l Ledger) Add(digest string) Ledger {
	if digest == "" || l.Contains(digest) {
		return l
	}
	kept := l[max(0, len(l)+1-ledgerSize):]
	return append(slices.Clone(kept), digest)
}
