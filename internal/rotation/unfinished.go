// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Unfinished is a token that calls have yet to make the published one of (the provider's
// finish). It is saved with the refresh token that came beside it, so that those calls
// can be made again, by another process too, and nothing is refreshed for them. Until they
// are through, the token before it stays the published one.
type Unfinished struct {
	token.Token
	// Origin is what it is bound to.
	Origin Origin
}

// Is reports whether both are of one reply; nil is none.
func (u *Unfinished) Is(other *Unfinished) bool {
	if u == nil || other == nil {
		return u == other
	}
	return u.AccessToken.Equal(other.AccessToken) && u.Equal(other.Validity)
}

// Finish takes in the token that calls have made of the unfinished one.
func (s State) Finish(made token.Token) State {
	if s.Unfinished != nil {
		s.Token, s.TokenOrigin, s.Unfinished = made, s.Unfinished.Origin, nil
	}
	return s
}
