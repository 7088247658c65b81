// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import "testing"

func TestWhereTheSuccessorOfASpentTokenIs(t *testing.T) {
	t.Parallel()
	grown := rotated(holding("G"), "G2")
	cases := map[string]struct {
		reason string
		state  State
		spent  string
		want   Successor
	}{
		"the seed of the live token":         {"G2 came of G", grown, "G", SuccessorLive},
		"that seed, many tokens later":       {"all of them came of G", rotated(rotated(grown, "G3"), "G4"), "G", SuccessorLive},
		"the seed of before":                 {"the live token is a seed that nothing has come of", grown.Adopt(text("W")), "G", SuccessorPrevious},
		"the seed of before, after another":  {"W was accepted, and G2 has gone", rotated(grown.Adopt(text("W")), "W2"), "G", SuccessorUnsure},
		"a token between seed and live one":  {"the ledger does not say of which grant it was", rotated(rotated(grown, "G3"), "G4"), "G2", SuccessorUnsure},
		"the live token":                     {"no answer ever came to it", sending(holding("G")).Lose("sending"), "G", SuccessorLost},
		"the seed of a live token":           {"which no answer ever came to", sending(grown).Lose("sending"), "G", SuccessorLost},
		"the seed of before, which was sent": {"G2 was being sent when W was given", sending(grown).Adopt(text("W")), "G", SuccessorLost},
		"a token of a state that holds none": {"there is nothing to go on from", State{}, "G", SuccessorLost},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.state.SuccessorOf(text(c.spent).Digest()); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}
