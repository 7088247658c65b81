// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// provenState is a state whose live token was sent at an origin and left as it was.
func provenState() State {
	s := holding("live")
	s.Origin = atA
	s = s.Claim(Attempt{ID: "1"})
	return s.Commit(token.Grant{Token: token.Token{AccessToken: text("access")}}, Exchange{Attempt: "1", Sent: text("live"), Proves: true})
}

func TestAProofIsOfOneTokenAtOneOrigin(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(State) State
		want         bool
	}{
		{"as it was proven", "the token works again", func(s State) State { return s }, true},
		{"after another refresh that left it as it was", "nothing has changed", func(s State) State {
			return s.Commit(token.Grant{}, Exchange{Sent: text("live")})
		}, true},
		{"rotated", "nothing is known of the successor", func(s State) State { return rotated(s, "next") }, false},
		{"after a login", "the token is of another grant", func(s State) State {
			return s.Commit(token.Grant{RefreshToken: text("next")}, Exchange{Origin: atA})
		}, false},
		{"another seed", "the token is of another grant", func(s State) State { return s.Adopt(text("next")) }, false},
		{"another seed, and back", "it was not looked at meanwhile", func(s State) State { return s.Adopt(text("next")).Adopt(text("live")) }, false},
		{"claimed", "whoever has claimed it may be spending it", func(s State) State { return s.Claim(Attempt{ID: "2"}) }, false},
		{"claimed, and the claim withdrawn", "nothing was spent", func(s State) State { return s.Claim(Attempt{ID: "2"}).Withdraw("2", nil) }, true},
		{"lost", "it is spent", State.LoseProven, false},
		{"refused", "it stands no more", State.Disprove, false},
		{"a copy", "the original may have sent it since", func(s State) State { s.Copied = true; return s }, false},
		{"bound to another origin", "that one was never asked", func(s State) State { s.Origin = atB; return s }, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := each.change(provenState()).Proven(); got != each.want {
				t.Errorf("proven: %t, want %t: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestWhatIsAtStakeInACommit(t *testing.T) {
	t.Parallel()
	rotate := func(s State) (State, bool) {
		return s.Commit(token.Grant{RefreshToken: text("next")}, Exchange{Sent: text("live")}), true
	}
	keep := func(s State) (State, bool) { return s.Commit(token.Grant{}, Exchange{Sent: text("live")}), true }
	for _, each := range []struct {
		name, reason string
		state        State
		change       Change
		want         bool
	}{
		{"a claim", "the token may be spent", provenState().Claim(Attempt{ID: "2"}), keep, true},
		{"the successor of a proven token", "it is nowhere else", provenState(), rotate, true},
		{"the loss of a proven token's successor", "nothing else says so", provenState(), func(s State) (State, bool) { return s.LoseProven(), true }, true},
		{"a proven token that stays", "nothing is lost with the reply", provenState(), keep, false},
		{"a refusal of a proven token", "the next one is as good", provenState(), func(s State) (State, bool) { return s.Disprove(), true }, false},
		{"a successor that has no place any more", "the state has moved on", provenState(), func(s State) (State, bool) { return s, false }, false},
		{"another token of a Reusable provider", "the one that was sent works still", holding("live"), rotate, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := each.change.AtStake(each.state); got != each.want {
				t.Errorf("at stake: %t, want %t: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestSpooledNamesTheExchangeThatMayHaveLeftAReply(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name string
		of   State
		want Exchange
	}{
		{"an attempt: by its ID", provenState().Claim(Attempt{ID: "2"}), Exchange{Attempt: "2", Sent: text("live")}},
		{"a proven token: by the attempt that proved it", provenState(), Exchange{Attempt: "1", Sent: text("live")}},
		{"neither: none", holding("live"), Exchange{}},
	} {
		if got := each.of.Spooled(); got.Attempt != each.want.Attempt || !got.Sent.Equal(each.want.Sent) {
			t.Errorf("%s: got attempt %q", each.name, got.Attempt)
		}
	}
}
