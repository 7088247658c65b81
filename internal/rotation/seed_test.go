// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// refused is the state after the provider refused its live token.
func refused(s State) State { return s.Claim(Attempt{ID: "refused"}).Withdraw("refused", nil) }

// sending is the state while its live token is being sent.
func sending(s State) State { return s.Claim(Attempt{ID: "sending"}) }

// accepted is the state after a reply without a refresh token.
func accepted(s State) State {
	return s.Commit(token.Grant{}, Exchange{Sent: s.RefreshToken})
}

func grantOf(refreshToken string) token.Grant { return token.Grant{RefreshToken: text(refreshToken)} }

func copyOf(s State) State { s.Copied = true; return s }

// adopting is the state after one seed after another.
func adopting(s State, seeds ...string) State {
	for _, seed := range seeds {
		s = s.Adopt(text(seed))
	}
	return s
}

func TestSeed(t *testing.T) {
	t.Parallel()
	grown := rotated(holding("G"), "G2") // seed G, of which G2 came
	cases := map[string]struct {
		reason string
		state  State
		seed   string
		want   SeedVerdict
		live   string // after the adoption of what is new
	}{
		"the first seed":            {"an empty state adopts whatever there is", State{}, "G", SeedNew, "G"},
		"no seed":                   {"a seed that was deleted after its adoption stops nothing", grown, "", SeedUnchanged, "G2"},
		"the seed that was adopted": {"it was spent, and the state has its successor", grown, "G", SeedUnchanged, "G2"},
		"the live token":            {"somebody wrote the live token back", grown, "G2", SeedUnchanged, "G2"},
		"a new seed":                {"a person has authorized again", grown, "W", SeedNew, "W"},

		"the seed of before, over one not yet sent": {
			"a mistyped seed is undone: G is spent, G2 is what it had become", adopting(grown, "W"), "G", SeedNew, "G2",
		},
		"the seed of before, over one that the provider refused": {
			"nothing was spent by the refusal", refused(adopting(grown, "W")), "G", SeedNew, "G2",
		},
		"the seed of before, over one whose outcome is unknown": {
			"whatever became of W, G2 was not sent", sending(adopting(grown, "W")), "G", SeedNew, "G2",
		},
		"the seed of before, over one that was lost": {
			"whatever became of W, G2 was not sent", sending(adopting(grown, "W")).Lose("sending"), "G", SeedNew, "G2",
		},
		"the seed of before, never sent itself": {
			"it is its own live token", adopting(holding("G"), "W"), "G", SeedNew, "G",
		},
		"the seed of before, refused itself": {
			"a provider may refuse what it accepts later", adopting(refused(holding("G")), "W"), "G", SeedNew, "G",
		},
		"the live token of before": {
			"with writeBack the user has that one", adopting(grown, "W"), "G2", SeedNew, "G2",
		},
		"the seed of before, and its token was being sent": {
			"G2 may be spent, so neither is sent", adopting(sending(grown), "W"), "G", SeedSpent, "W",
		},
		"a seed that was being sent when it was replaced": {
			"it may be spent", adopting(sending(holding("G")), "W"), "G", SeedSpent, "W",
		},
		"the seed of before, and its token was lost": {
			"it is known to be spent", adopting(sending(grown).Lose("sending"), "W"), "G", SeedSpent, "W",
		},
		"the seed of before, after the reply to its token came in": {
			"what came is kept beside the new seed, and good",
			adopting(sending(grown), "W").Commit(token.Grant{RefreshToken: text("G3")}, Exchange{Attempt: "sending", Sent: text("G2")}),
			"G", SeedNew, "G3",
		},
		"the seed of before, over two mistyped ones": {
			"the user has W1 and W2, and G2 is only here", refused(adopting(refused(adopting(grown, "W1")), "W2")), "G", SeedNew, "G2",
		},
		"the first of two mistyped seeds": {
			"it was refused, not spent", refused(adopting(refused(adopting(grown, "W1")), "W2")), "W1", SeedNew, "W1",
		},
		"the seed of before, after an undo and another mistyped one": {
			"an undo leaves the state as it was", adopting(grown, "W1", "G", "W2"), "G", SeedNew, "G2",
		},
		"a mistyped seed again, after an undo": {
			"the user may try it again", adopting(grown, "W", "G"), "W", SeedNew, "W",
		},

		"a spent seed, after its successor grant rotated": {
			"a GitOps tool puts an old seed back", rotated(adopting(grown, "W"), "W2"), "G", SeedSpent, "W2",
		},
		"a spent seed, after the new one was accepted and stayed": {
			"the provider accepts W: it was no mistake, and G2 may be long dead", accepted(adopting(grown, "W")), "G", SeedSpent, "W",
		},
		"a spent seed, after a login": {
			"the login has begun a grant of its own", adopting(grown, "W").Commit(token.Grant{RefreshToken: text("L")}, Exchange{}), "G", SeedSpent, "L",
		},
		"a seed two grants back": {
			"one step is remembered", rotated(adopting(rotated(adopting(grown, "W"), "W2"), "X"), "X2"), "G", SeedSpent, "X2",
		},
		"what a login brought, replaced by a mistyped seed": {
			"the state goes back to what was live", adopting(refused(grown).Commit(token.Grant{RefreshToken: text("L")}, Exchange{}), "W"), "G", SeedNew, "L",
		},

		"the live token of a copy": {
			"its user states that it was not spent since", copyOf(grown), "G2", SeedNew, "G2",
		},
		"the adopted seed of a copy": {"it was spent before the copy was made", copyOf(grown), "G", SeedUnchanged, "G2"},
		"the adopted seed of a copy, never sent": {
			"a seed that was there before the copy was made states nothing", copyOf(holding("G")), "G", SeedUnchanged, "G",
		},
		"a new seed in a copy": {"a person has authorized again", copyOf(grown), "X", SeedNew, "X"},
		"the seed of before in a copy": {
			"the original may have undone and spent it since", copyOf(adopting(grown, "W")), "G", SeedSpent, "W",
		},
		"the seed of before in a copy, never sent there": {
			"the original may have gone back to it and spent it since", copyOf(adopting(holding("G"), "W")), "G", SeedUnchanged, "W",
		},
		"the seed that a copy was made with, after a new one": {
			"the original may have spent G2 since", adopting(copyOf(grown), "X"), "G", SeedSpent, "X",
		},
		"the live token that a copy was made with, after a new seed": {
			"the original may have spent it since", adopting(copyOf(grown), "X"), "G2", SeedSpent, "X",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.state.Judge(text(c.seed))
			if got != c.want {
				t.Fatalf("%s: got %s, want %s", c.reason, got, c.want)
			}
			next := c.state
			if got == SeedNew {
				next = next.Adopt(text(c.seed))
				if again := next.Judge(text(c.seed)); again != SeedUnchanged && !next.Copied || next.Attempt != nil {
					t.Errorf("an adopted seed is judged %s, attempt %v", again, next.Attempt)
				}
			}
			if live := next.RefreshToken; !live.Equal(text(c.live)) {
				t.Errorf("%s: %s is not the live token", c.reason, c.live)
			}
		})
	}
}

func TestAnUndoKeepsTheSpentSeedInTheLedger(t *testing.T) {
	t.Parallel()
	undone := adopting(rotated(holding("G"), "G2"), "W", "G")
	if !undone.Spent.Contains(text("G").Digest()) || undone.Lost() {
		t.Errorf("G is spent and G2 is not: %v", undone.Spent)
	}
	if undone.Seed != text("G").Digest() || undone.PreviousSeed != "" || undone.Untried() {
		t.Error("the state is as it was before the mistyped seed")
	}
}

func TestASpentSeedThatIsPutBackAgainAndAgainStaysSpent(t *testing.T) {
	t.Parallel()
	state := rotated(adopting(rotated(holding("G"), "G2"), "W"), "W2")
	for range 3 {
		if got := state.Judge(text("G")); got != SeedSpent {
			t.Errorf("a GitOps tool puts the old seed back: got %s", got)
		}
		if got := state.Judge(text("W")); got != SeedUnchanged {
			t.Errorf("the user puts the new one back: got %s", got)
		}
		state = rotated(state, state.RefreshToken.Reveal()+"+")
	}
}

func TestWhatASeedReplacesIsSpentOnlyIfItMayHaveBeenSent(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		before State
		want   bool
	}{
		"never sent":        {"a seed that nobody sent", holding("old"), false},
		"came in a reply":   {"nobody sent it since", rotated(holding("seed"), "old"), false},
		"refused":           {"the claim was withdrawn, since nothing was spent", refused(holding("old")), false},
		"claimed":           {"its holder may have sent it", sending(holding("old")), true},
		"lost":              {"it is known to be spent", sending(holding("old")).Lose("sending"), true},
		"of a copied state": {"the original may have sent it", copyOf(holding("old")), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.before.Adopt(text("new")).Spent.Contains(text("old").Digest()); got != c.want {
				t.Errorf("%s: in the ledger: %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestLedgerIsBoundedAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	var ledger Ledger
	for i := range 2 * ledgerSize {
		ledger = ledger.Add(fmt.Sprintf("%032d", i))
	}
	if len(ledger) != ledgerSize {
		t.Fatalf("the ledger holds %d digests, want %d", len(ledger), ledgerSize)
	}
	if !ledger.Contains(fmt.Sprintf("%032d", 2*ledgerSize-1)) || ledger.Contains(fmt.Sprintf("%032d", 0)) {
		t.Error("the oldest goes first")
	}
	if again := ledger.Add(ledger[3]); !cmp.Equal(again, ledger) {
		t.Error("a digest is there once")
	}
}
