// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func firstHop() token.Grant {
	issued := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	return token.Grant{
		Token: token.Token{
			AccessToken: secret.New("first-hop"), Type: "Bearer", Outputs: map[string]any{"level": int64(7), "scope": "a b"},
			Validity: token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)},
		},
		RefreshToken: secret.New("successor"),
		Unfinished:   true,
	}
}

// TestAnUnfinishedTokenIsNotThePublishedOne commits what a first hop brought, and finishes
// it.
func TestAnUnfinishedTokenIsNotThePublishedOne(t *testing.T) {
	t.Parallel()
	published := token.Token{AccessToken: secret.New("published")}
	before := State{Lineage: Lineage{RefreshToken: secret.New("sent")}, Token: published}
	way := Origin{Refresh: "https://one.example and https://two.example", Discovered: "https://two.example"}
	state := before.Commit(firstHop(), Exchange{Sent: secret.New("sent"), Origin: way})
	if state.Token.AccessToken.Reveal() != "published" || state.RefreshToken.Reveal() != "successor" {
		t.Error("the token that is published is replaced before there is another, or the refresh token is not saved")
	}
	if state.Unfinished == nil || state.Unfinished.Origin != way {
		t.Fatal("what the first hop brought is not bound to where it came from")
	}
	made := token.Token{AccessToken: secret.New("second-hop")}
	done := state.Finish(made)
	if done.Unfinished != nil || done.Token.AccessToken.Reveal() != "second-hop" || done.TokenOrigin != way {
		t.Error("the second hop's token is not the published one, or is bound to nothing")
	}
	if again := done.Finish(published); again.Token.AccessToken.Reveal() != "second-hop" {
		t.Error("a second finish replaces what nothing waits for")
	}
	if seeded := state.Adopt(secret.New("new seed")); seeded.Unfinished != nil {
		t.Error("what the grant before brought waits to be finished under a new one")
	}
}
