// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
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
func (l Lineage) Judge(seed secret.Text) SeedVerdict {
	digest := seed.Digest()
	switch {
	case digest == "", digest == l.Seed:
		return SeedUnchanged
	case seed.Equal(l.RefreshToken):
		if l.Copied {
			return SeedNew
		}
		return SeedUnchanged
	case l.undoneBy(digest):
		return SeedNew
	case l.Spent.Contains(digest):
		return SeedSpent
	case l.Copied && digest == l.PreviousSeed: // the original may have gone back to it and sent it
		return SeedUnchanged
	default:
		return SeedNew
	}
}

// Adopt makes a new seed the live token, or, where it is the seed of before, goes
// back to the token that was live then. A claim on the token that is replaced ends.
func (s State) Adopt(seed secret.Text) State {
	if seed.IsZero() {
		return s
	}
	s.adopt(seed, s.Attempt.inDoubt())
	s.Proof, s.Unfinished = Proof{}, nil
	s.supersede()
	return s
}

// adopt takes a seed in. Where it is the seed of before, what that had become is good, and
// the seed itself may be spent.
//
// The token that is replaced is spent only if it may have been sent and nothing
// came back, which it may be that is claimed; one that the provider refused, or that was
// never sent, may return.
func (l *Lineage) adopt(seed secret.Text, claimed string) {
	digest := seed.Digest()
	undone := l.undoneBy(digest)
	fresh := seed
	if undone {
		fresh = l.PreviousRefreshToken
	}
	origin := l.boundTo(fresh)
	if !fresh.Equal(l.RefreshToken) {
		l.retire(claimed)
	}
	switch {
	case l.Untried() && fresh.Equal(l.PreviousRefreshToken):
		l.PreviousRefreshToken, l.PreviousSeed, l.PreviousOrigin = secret.Text{}, "", Origin{} // what goes is a seed, which the user has
	case l.Untried() && l.undoneBy(l.PreviousSeed):
		// One seed after another, and none was accepted: the user has those, and the
		// token before them is nowhere but here.
	default:
		l.keepLive(fresh)
	}
	if !undone {
		l.Spent = l.Spent.Remove(digest) // whoever hands out a token states that it is not spent
	}
	l.RefreshToken, l.Seed, l.Origin, l.Refused = fresh, digest, origin, ""
	l.RefreshTokenExpiresAt = time.Time{}
}

// keepLive makes the live token the previous one, unless a fresh token is the same.
func (l *Lineage) keepLive(fresh secret.Text) {
	if !l.RefreshToken.IsZero() && !l.RefreshToken.Equal(fresh) {
		l.PreviousRefreshToken, l.PreviousSeed, l.PreviousOrigin = l.RefreshToken, l.Seed, l.Origin
	}
	if l.Copied { // its original may have sent what is here: there is no way back
		l.PreviousSeed = ""
	}
}

// undoneBy reports whether a seed is the one before, whose token can return.
func (l Lineage) undoneBy(digest string) bool {
	previous := l.PreviousRefreshToken.Digest()
	return digest != "" && digest == l.PreviousSeed && previous != "" && !l.Copied && !l.Spent.Contains(previous)
}
