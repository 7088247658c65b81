// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestATransitionEndsItsOwnAttemptAndNoOther(t *testing.T) {
	t.Parallel()
	claimed := holding("old").Claim(Attempt{ID: "1"})
	brings := token.Grant{RefreshToken: text("new")}
	cases := map[string]struct {
		reason string
		next   State
		want   string // the ID of the attempt that stands
	}{
		"a refresh ends its claim":          {"the claim was for this exchange", claimed.Commit(brings, Exchange{Attempt: "1", Sent: text("old")}), ""},
		"a refresh keeps another's claim":   {"its holder counts on it", claimed.Commit(brings, Exchange{Attempt: "2", Sent: text("old")}), "1"},
		"a login keeps another's claim":     {"its holder counts on it", claimed.Commit(brings, Exchange{}), "1"},
		"a login ends the attempt it names": {"it resolves an unknown outcome", claimed.Commit(brings, Exchange{Attempt: "1"}), ""},
		"a claim is withdrawn by its owner": {"nothing was spent", claimed.Withdraw("1", nil), ""},
		"a claim is withdrawn by another":   {"that one knows nothing of it", claimed.Withdraw("2", nil), "1"},
		"a retry is withdrawn":              {"the first time stays unresolved", claimed.Withdraw("1", &Attempt{ID: "0"}), "0"},
		"a retry is withdrawn by another":   {"that one knows nothing of it", claimed.Withdraw("2", &Attempt{ID: "0"}), "1"},
		"a token is lost":                   {"its successor never arrived", claimed.Lose("1"), ""},
		"a token is lost by another":        {"its holder may yet bring the successor", claimed.Lose("2"), "1"},
		"no ID is none":                     {"an attempt without an ID belongs to nobody who gives none", claimed.Withdraw("", nil), "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if c.next.Attempt != nil {
				got = c.next.Attempt.ID
			}
			if got != c.want {
				t.Errorf("%s: the attempt %q stands, want %q", c.reason, got, c.want)
			}
		})
	}
	if claimed.Lose("2").Lost() || !claimed.Lose("1").Lost() {
		t.Error("a token is lost by the owner of its claim alone")
	}
}

// TestTheReplyToARetryIsTheLastWord has the reply of the first time be committed while the
// token is sent once more, by a process that took the claim over.
func TestTheReplyToARetryIsTheLastWord(t *testing.T) {
	t.Parallel()
	retried := holding("old").Claim(Attempt{ID: "1"}).Claim(Attempt{ID: "2", Resend: true})
	moved := retried.Commit(token.Grant{RefreshToken: text("first")}, Exchange{Attempt: "1", Sent: text("old")})
	if !moved.RefreshToken.Equal(text("first")) || !moved.Attempt.is("2") {
		t.Fatalf("the reply of the first time: live is %s, under the claim %+v", moved.RefreshToken.Digest(), moved.Attempt)
	}
	for successor, previous := range map[string]string{"second": "first", "first": "old"} { // a provider may give the same one again
		got := moved.Commit(token.Grant{Token: token.Token{AccessToken: text("access")}, RefreshToken: text(successor)}, Exchange{Attempt: "2", Sent: text("old")})
		if !got.RefreshToken.Equal(text(successor)) || !got.PreviousRefreshToken.Equal(text(previous)) || got.Attempt != nil || got.Lost() {
			t.Errorf("the live token is not %s, which the provider gave last, behind %s", successor, previous)
		}
		if !got.Token.AccessToken.Equal(text("access")) || !got.Spent.Contains(text("old").Digest()) {
			t.Error("its access token is not taken, or the token that was sent twice counts as unspent")
		}
	}
}

// TestASuccessorThatARetryMayHaveReplacedIsInDoubt leaves a retry without a reply, after the
// reply of the first time.
func TestASuccessorThatARetryMayHaveReplacedIsInDoubt(t *testing.T) {
	t.Parallel()
	first := token.Grant{RefreshToken: text("first")}
	retried := holding("old").Claim(Attempt{ID: "1"}).Claim(Attempt{ID: "2", Resend: true})
	overtaken := retried.Commit(first, Exchange{Attempt: "1", Sent: text("old")})
	cases := map[string]struct {
		reason         string
		next           State
		doubted, spent bool
	}{
		"the reply of the first time":       {"a window's provider goes on from the retry's successor", overtaken, true, false},
		"a seed in its place":               {"it must not return: it may be spent", overtaken.Adopt(text("other")), false, true},
		"a login in its place":              {"the same", overtaken.Lose("2").Commit(token.Grant{RefreshToken: text("login")}, Exchange{}), false, true},
		"the retry's own reply":             {"it is the last word", overtaken.Commit(token.Grant{RefreshToken: text("second")}, Exchange{Attempt: "2", Sent: text("old")}), false, true},
		"a retry that did not take place":   {"nothing has replaced it", overtaken.Withdraw("2", nil), false, false},
		"a login beside the retry":          {"it is of another grant", retried.Commit(first, Exchange{}), false, false},
		"a reply to another token":          {"the retry is on one of another grant", retried.Commit(first, Exchange{Attempt: "1", Sent: text("else")}), false, false},
		"the reply to the retry came first": {"no retry is left", retried.Commit(first, Exchange{Attempt: "2", Sent: text("old")}), false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubted := c.next.Attempt != nil && c.next.Attempt.Overtaken == text("first").Digest()
			if spent := c.next.Spent.Contains(text("first").Digest()); doubted != c.doubted || spent != c.spent {
				t.Errorf("in doubt: %t, want %t; spent: %t, want %t\nreason: %s", doubted, c.doubted, spent, c.spent, c.reason)
			}
		})
	}
	if retried.Attempt.Overtaken != "" {
		t.Error("a transition has changed the state that it started from")
	}
}

func TestSentIsTheTokenOfTheAttempt(t *testing.T) {
	t.Parallel()
	claimed := holding("old").Claim(Attempt{ID: "1"})
	replaced := claimed.Commit(token.Grant{RefreshToken: text("new")}, Exchange{})
	cases := map[string]struct {
		reason string
		state  State
		want   string
	}{
		"no attempt":                {"nothing was sent", holding("old"), ""},
		"the live token":            {"the claim is on it", claimed, "old"},
		"a token that was replaced": {"the spool is sealed with the token that was sent", replaced, "old"},
		"a token that is gone":      {"it was replaced twice", replaced.Commit(token.Grant{RefreshToken: text("newer")}, Exchange{}), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.state.Sent(); !got.Equal(text(c.want)) {
				t.Errorf("%s: want %q", c.reason, c.want)
			}
		})
	}
}
