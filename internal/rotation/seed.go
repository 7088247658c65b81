// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// SeedVerdict is what becomes of the user's refresh token.
type SeedVerdict string

const (
	// SeedUnchanged: it was adopted before, or there is none.
	SeedUnchanged SeedVerdict = "Unchanged"
	// SeedNew: Adopt takes it. It replaces the live token, or undoes the adoption
	// before.
	SeedNew SeedVerdict = "New"
	// SeedSpent: it was spent before, so it is ignored.
	SeedSpent SeedVerdict = "Spent"
)

// Judge decides what becomes of a seed.
//
// In a copy, the live token given as a seed is its user's statement that it was not
// spent since; a seed that was adopted before the copy was made states nothing.
func (s State) Judge(seed secret.Text) SeedVerdict {
	digest := seed.Digest()
	switch {
	case digest == "", digest == s.Seed:
		return SeedUnchanged
	case seed.Equal(s.RefreshToken):
		if s.copied {
			return SeedNew
		}
		return SeedUnchanged
	case s.undoneBy(digest):
		return SeedNew
	case s.Spent.Contains(digest):
		return SeedSpent
	case s.copied && digest == s.PreviousSeed: // the original may have gone back to it and sent it
		return SeedUnchanged
	default:
		return SeedNew
	}
}

// Adopt makes a new seed the live token, or, where it is the seed of before, goes
// back to the token that was live then: what that seed had become is good, and the
// seed itself may be spent.
//
// The token that is replaced is spent only if it may have been sent and nothing
// came back; one that the provider refused, or that was never sent, may return. A
// claim on it ends.
func (s State) Adopt(seed secret.Text) State {
	if seed.IsZero() {
		return s
	}
	digest := seed.Digest()
	undone := s.undoneBy(digest)
	fresh := seed
	if undone {
		fresh = s.PreviousRefreshToken
	}
	origin := boundTo(s, fresh)
	if !fresh.Equal(s.RefreshToken) {
		s.retire()
	}
	switch {
	case s.Untried() && fresh.Equal(s.PreviousRefreshToken):
		s.PreviousRefreshToken, s.PreviousSeed, s.PreviousOrigin = secret.Text{}, "", Origin{} // what goes is a seed, which the user has
	case s.Untried() && s.undoneBy(s.PreviousSeed):
		// One seed after another, and none was accepted: the user has those, and the
		// token before them is nowhere but here.
	default:
		s.keepLive(fresh)
	}
	if !undone {
		s.Spent = s.Spent.Remove(digest) // whoever hands out a token states that it is not spent
	}
	s.RefreshToken, s.Seed, s.Origin, s.Proof, s.Refused = fresh, digest, origin, Proof{}, ""
	s.RefreshTokenExpiresAt, s.Unfinished = time.Time{}, nil
	s.supersede()
	return s
}

// keepLive makes the live token the previous one, unless a fresh token is the same.
func (s *State) keepLive(fresh secret.Text) {
	if !s.RefreshToken.IsZero() && !s.RefreshToken.Equal(fresh) {
		s.PreviousRefreshToken, s.PreviousSeed, s.PreviousOrigin = s.RefreshToken, s.Seed, s.Origin
	}
	if s.copied { // its original may have sent what is here: there is no way back
		s.PreviousSeed = ""
	}
}

// undoneBy reports whether a seed is the one before, whose token can return.
func (s State) undoneBy(digest string) bool {
	previous := s.PreviousRefreshToken.Digest()
	return digest != "" && digest == s.PreviousSeed && previous != "" && !s.copied && !s.Spent.Contains(previous)
}

// Ledger is a list of digests of spent tokens, oldest first. It is bounded: a
// token that left it long ago is refused by its provider anyway, and a seed that
// a GitOps tool puts back is the same one each time.
type Ledger []string

// ledgerSize keeps the state Secret under 20 KiB: 512 digests of 32 characters.
const ledgerSize = 512

// Contains reports whether a digest is in the ledger.
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
