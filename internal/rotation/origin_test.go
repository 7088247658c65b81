// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var (
	unbound Origin
	atA     = Origin{Refresh: "https://a.example", Login: "https://login.a.example"}
	atB     = Origin{Refresh: "https://b.example", Login: "https://login.b.example"}
)

// bind the live token to an origin, as a claim does.
func bind(s State, origin Origin) State { s.Origin = s.Origin.Or(origin); return s }

// release it again, as a claim's withdrawal does where nothing was sent.
func release(s State) State { s.Origin = Origin{}; return s }

// refreshedAt is the state after a refresh at an origin brought another token.
func refreshedAt(s State, origin Origin, fresh string) State {
	s = bind(s, origin).Claim(Attempt{ID: "bound"})
	grant := token.Grant{RefreshToken: text(fresh), Token: token.Token{AccessToken: text("access")}}
	return s.Commit(grant, Exchange{Attempt: "bound", Sent: s.RefreshToken, Origin: s.Origin})
}

// loggedInAt is the state after a login at an origin.
func loggedInAt(s State, origin Origin, fresh string) State {
	return s.Commit(token.Grant{RefreshToken: text(fresh), Token: token.Token{AccessToken: text("access")}}, Exchange{Origin: origin})
}

func TestSecretsStayBoundToTheOriginTheyCameFrom(t *testing.T) {
	t.Parallel()
	grown := refreshedAt(holding("G"), atA, "G2")
	during := grown.Claim(Attempt{ID: "during"})
	type bound struct{ Live, Previous, Token Origin }
	for _, each := range []struct {
		name, reason string
		state        State
		want         bound
	}{
		{"a seed that was adopted", "it was never sent", holding("G"), bound{}},
		{"a seed that is being sent", "whoever gets it has it", bind(holding("G"), atA).Claim(Attempt{ID: "1"}), bound{Live: atA}},
		{"a seed whose call could not be made", "nobody got it, so it follows a corrected URL", release(bind(holding("G"), atA).Claim(Attempt{ID: "1"})).Withdraw("1", nil), bound{}},
		{"a seed that the provider refused", "the provider got it", refused(bind(holding("G"), atA)), bound{Live: atA}},
		{"a rotated token", "its grant is that of the seed", grown, bound{atA, atA, atA}},
		{"a rotated token, bound elsewhere", "it is bound once and for all", bind(grown, atB), bound{atA, atA, atA}},
		{"a token that did not rotate", "it stays with who took it", refreshedAt(holding("G"), atA, "G"), bound{Live: atA, Token: atA}},
		{"a new seed", "it was never sent, and the others stay where they were", grown.Adopt(text("W")), bound{unbound, atA, atA}},
		{"a new seed, sent elsewhere", "what was before does not go there", bind(grown.Adopt(text("W")), atB).Claim(Attempt{ID: "1"}), bound{atB, atA, atA}},
		{"a new seed, accepted elsewhere", "the token is of its grant now", refreshedAt(grown.Adopt(text("W")), atB, "W2"), bound{atB, atB, atB}},
		{"the seed of before, put back", "what returns is bound as it was", bind(grown.Adopt(text("W")), atB).Adopt(text("G")), bound{atA, unbound, atA}},
		{"the live token, given as a seed", "it is no other for that", copyOf(grown).Adopt(text("G2")), bound{atA, atA, atA}},
		{"the token before, given as a seed", "it is no other for that", adopting(grown, "W", "V").Adopt(text("G2")), bound{atA, unbound, atA}},
		{"a login elsewhere", "it begins another grant", loggedInAt(grown, atB, "L"), bound{atB, atA, atB}},
		{"a login elsewhere that brings no refresh token", "the one that is there is of the grant before", loggedInAt(grown, atB, ""), bound{atA, atA, atB}},
		{"a reply after the seed was replaced", "it is of the grant before", during.Adopt(text("W")).Commit(grantOf("G3"), Exchange{Attempt: "during", Sent: text("G2"), Origin: atA}), bound{unbound, atA, atA}},
		{"a reply that an earlier process left", "its claim has bound the token", during.Commit(grantOf("G3"), Exchange{Attempt: "during", Sent: text("G2")}), bound{atA, atA, atA}},
		{"a token of the version before", "nothing was known of its origin, and this is one that takes it", State{Lineage: Lineage{RefreshToken: text("G")}}.Commit(grantOf("G2"), Exchange{Sent: text("G"), Origin: atA}), bound{Live: atA}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			got := bound{each.state.Origin, each.state.PreviousOrigin, each.state.TokenOrigin}
			if diff := cmp.Diff(each.want, got); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
		})
	}
}

func TestHasMoved(t *testing.T) {
	t.Parallel()
	held := State{Lineage: Lineage{RefreshToken: text("G")}}
	for _, each := range []struct {
		name, reason string
		state        State
		now          Origin
		want         bool
	}{
		{"the same origin", "nothing has changed", bind(held, atA), atA, false},
		{"another origin", "the token is not for it", bind(held, atA), atB, true},
		{"another origin of the login alone", "a refresh does not go there", bind(held, atA), Origin{Refresh: atA.Refresh, Login: atB.Login}, false},
		{"a token that was never sent", "it belongs to nobody yet", held, atB, false},
		{"no token", "there is nothing to send", bind(State{}, atA), atB, false},
		{"a provider that does not refresh", "there is no call to send it with", bind(held, atA), Origin{Login: atB.Login}, false},
		{"a grant of a provider that did not refresh", "its token came from elsewhere", bind(held, Origin{Login: atA.Login}), atA, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := each.state.HasMoved(each.now); got != each.want {
				t.Errorf("it has moved: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}
