// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func text(value string) secret.Text { return secret.New(value) }

// holding is a state whose seed was adopted and never refreshed.
func holding(token string) State { return State{}.Adopt(text(token)) }

// rotated is the state after a refresh of its live token brought another one.
func rotated(s State, fresh string) State {
	s = s.Claim(Attempt{ID: "rotated"})
	return s.Commit(token.Grant{RefreshToken: text(fresh)}, Exchange{Attempt: "rotated", Sent: s.RefreshToken})
}

func TestACopyDiffersFromItsOriginal(t *testing.T) {
	t.Parallel()
	own := Identity{Secret: "secret", Cluster: "cluster"}
	cases := map[string]struct {
		reason string
		stored Identity
		want   bool
	}{
		"the same":              {"it is the original", own, false},
		"another Secret's":      {"it was restored from a backup", Identity{Secret: "other", Cluster: "cluster"}, true},
		"another cluster's":     {"it was carried over", Identity{Secret: "secret", Cluster: "other"}, true},
		"the UID not known yet": {"a Secret learns its UID when it is made", Identity{Cluster: "cluster"}, false},
		"nothing known":         {"what is not known does not differ", Identity{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.stored.DiffersFrom(own); got != c.want {
				t.Errorf("%s: got %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	before := holding("old").Claim(Attempt{ID: "1"})
	grant := token.Grant{
		Token: token.Token{
			AccessToken: text("access"), Type: "mac",
			Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)},
			Outputs:  map[string]any{"scope": "1 3"},
		},
		RefreshToken: text("new"), RefreshTokenExpiresAt: noon.Add(24 * time.Hour),
	}
	cases := map[string]struct {
		reason string
		change func(*token.Grant)
		check  func(State) bool
	}{
		"the new token is the live one": {
			"it is what the next refresh sends", func(*token.Grant) {},
			func(s State) bool {
				return s.RefreshToken.Equal(text("new")) && s.PreviousRefreshToken.Equal(text("old"))
			},
		},
		"the old token is in the ledger": {
			"it must never be sent again", func(*token.Grant) {},
			func(s State) bool {
				return s.Spent.Contains(text("old").Digest()) && !s.Spent.Contains(text("new").Digest())
			},
		},
		"the claim is gone and the sequence counts": {
			"one exchange, one commit", func(*token.Grant) {},
			func(s State) bool { return s.Attempt == nil && s.Sequence == 1 },
		},
		"a reply without a refresh token keeps the old one": {
			"RFC 6749 section 6 lets a server keep it", func(g *token.Grant) { g.RefreshToken = secret.Text{} },
			func(s State) bool { return s.RefreshToken.Equal(text("old")) && len(s.Spent) == 0 },
		},
		"the same refresh token is not spent": {
			"it is still the live one", func(g *token.Grant) { g.RefreshToken = text("old") },
			func(s State) bool { return s.RefreshToken.Equal(text("old")) && len(s.Spent) == 0 },
		},
		"a reply without an access token keeps the refresh token": {
			"the refresh token is saved, whatever else is wrong", func(g *token.Grant) { g.AccessToken = secret.Text{} },
			func(s State) bool {
				return s.RefreshToken.Equal(text("new")) && s.Token.AccessToken.IsZero() && s.Token.ExpiresAt.IsZero()
			},
		},
		"the outputs are those of the last reply": {
			"a stale output would not fit the new token", func(g *token.Grant) { g.Outputs = nil },
			func(s State) bool { return s.Token.Outputs == nil },
		},
		"the expiry of the old refresh token does not outlive it": {
			"the new one's is not known", func(g *token.Grant) { g.RefreshTokenExpiresAt = time.Time{} },
			func(s State) bool { return s.RefreshTokenExpiresAt.IsZero() },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant := grant
			c.change(&grant)
			if got := before.Commit(grant, Exchange{Attempt: "1", Sent: text("old")}); !c.check(got) {
				t.Errorf("%s: sequence %d, spent %v, attempt %v", c.reason, got.Sequence, got.Spent, got.Attempt)
			}
			if before.Attempt == nil || len(before.Spent) != 0 {
				t.Error("a transition must leave the state that it started from alone")
			}
		})
	}
}

func TestALostTokenStaysSpentUntilItIsHandedOutAgain(t *testing.T) {
	t.Parallel()
	live, other := secret.New("live"), secret.New("other")
	lost := State{}.Adopt(live).Claim(Attempt{ID: "a"}).Lose("a")
	if !lost.Lost() || lost.Attempt != nil || lost.Judge(live) != SeedUnchanged {
		t.Error("a token whose successor was lost counts as good, or its claim stands")
	}
	if next := lost.Adopt(other); next.Lost() || next.Judge(live) != SeedSpent {
		t.Error("another seed is lost too, or the lost token would be taken again")
	}
	if next := lost.Commit(token.Grant{RefreshToken: other}, Exchange{}); next.Lost() {
		t.Error("what a login brings counts as spent")
	}
	if next := lost.Adopt(live); next.Lost() || !next.PreviousRefreshToken.IsZero() {
		t.Error("a token that its user states is good counts as spent, or as its own predecessor")
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	claimed := holding("old").Claim(Attempt{ID: "1"})
	sent := Exchange{Attempt: "1", Sent: text("old")}
	cases := map[string]struct {
		reason   string
		state    State
		exchange Exchange
		want     bool
	}{
		"the claim stands":                     {"it is the reply that the claim waits for", claimed, sent, true},
		"another has taken the claim over":     {"the token is still the live one", claimed.Claim(Attempt{ID: "2"}), sent, true},
		"another reply was committed":          {"its successor is the live one", claimed.Commit(token.Grant{RefreshToken: text("new")}, sent), sent, false},
		"a seed was adopted meanwhile":         {"what comes is kept for an undo", claimed.Adopt(text("seed")), sent, true},
		"two seeds were adopted meanwhile":     {"the way back ended with the first", claimed.Adopt(text("seed")).Adopt(text("next")), sent, false},
		"a login took the token's place":       {"the claim stands, so the reply has a place", claimed.Commit(token.Grant{RefreshToken: text("L")}, Exchange{}), sent, true},
		"a login":                              {"it needs nothing that is there", claimed, Exchange{}, true},
		"a login for an attempt that is there": {"it resolves the outcome", claimed, Exchange{Attempt: "1"}, true},
		"a login for an attempt that is gone":  {"another process has resolved the outcome", claimed.Withdraw("1", nil), Exchange{Attempt: "1"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.state.Accepts(c.exchange); got != c.want {
				t.Errorf("%s: got %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestAReplyToAReplacedTokenChangesNothingLive(t *testing.T) {
	t.Parallel()
	grant := token.Grant{Token: token.Token{AccessToken: text("access")}, RefreshToken: text("new")}
	sent := Exchange{Attempt: "1", Sent: text("old")}
	claimed := holding("old").Claim(Attempt{ID: "1"})
	cases := map[string]struct {
		reason string
		before State
	}{
		"a seed": {"the user has replaced the token", claimed.Adopt(text("other"))},
		"a login": {"another process has replaced the token",
			claimed.Commit(token.Grant{RefreshToken: text("other")}, Exchange{})},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.before.Commit(grant, sent)
			if !got.RefreshToken.Equal(text("other")) || !got.Token.IsZero() || got.Sequence != c.before.Sequence {
				t.Errorf("%s: what is live has changed", c.reason)
			}
			if !got.PreviousRefreshToken.Equal(text("new")) || got.Attempt != nil {
				t.Error("the successor is lost, or its claim stands")
			}
			if !got.Spent.Contains(text("old").Digest()) || got.Spent.Contains(text("new").Digest()) || got.Lost() {
				t.Errorf("the token that was sent is spent, and no other: %v", got.Spent)
			}
		})
	}
}

func TestALoginSpendsOnlyWhatMayHaveBeenSent(t *testing.T) {
	t.Parallel()
	login := token.Grant{RefreshToken: text("new")}
	cases := map[string]struct {
		reason string
		next   State
		want   bool
	}{
		"a token that was refused":         {"nothing was spent", refused(holding("old")).Commit(login, Exchange{}), false},
		"a token that another is sending":  {"it may be spent", sending(holding("old")).Commit(login, Exchange{}), true},
		"a token whose outcome is unknown": {"it may be spent", sending(holding("old")).Commit(login, Exchange{Attempt: "sending"}), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.next.Spent.Contains(text("old").Digest()); got != c.want {
				t.Errorf("%s: in the ledger: %t, want %t", c.reason, got, c.want)
			}
		})
	}
}
