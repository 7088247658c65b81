// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

func TestARefreshTokenIsSalvagedFromAReplyThatIsNotWhole(t *testing.T) {
	t.Parallel()
	const both = `{"access_token":"a","refresh_token":"next"`
	cases := map[string]struct {
		reason   string
		body     string
		cutShort bool
		want     tokens
	}{
		"cut short behind the token": {
			"the token is whole, and is nowhere else; nothing else of the reply counts",
			both + `,"expires_in":36`, true, tokens{Reason: "OutcomeUnknown", Refresh: "next"},
		},
		"cut short inside the token": {
			"half a token is none",
			`{"access_token":"a","refresh_token":"nex`, true, tokens{Reason: "OutcomeUnknown"},
		},
		"cut short where it seems whole": {
			"more was announced, so it proves nothing",
			both + `}`, true, tokens{Reason: "OutcomeUnknown", Refresh: "next"},
		},
		"cut short, and the token is the one that was sent": {
			"it says nothing of what became of it",
			`{"refresh_token":"canaryRefresh0"`, true, tokens{Reason: "OutcomeUnknown"},
		},
		"broken by the provider itself": {
			"a reply that was announced shorter than it is, is not whole either",
			both + `,"expires_`, false, tokens{Reason: "OutcomeUnknown", Refresh: "next"},
		},
		"behind a prefix": {
			"what comes before the first brace does not matter",
			"#" + both, true, tokens{Reason: "OutcomeUnknown", Refresh: "next"},
		},
		"too deep to be read": {
			"the token lies beside what is too deep",
			`{"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `,"refresh_token":"next"}`, false,
			tokens{Reason: "OutcomeUnknown", Refresh: "next"},
		},
		"a form that was cut short": {
			"nothing shows where a value of a form ends, so half a token could be taken for one",
			`access_token=a&refresh_token=nex`, true, tokens{Reason: "OutcomeUnknown"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := compile(t, singleUse).Refresh.Begin(inputs(), now, "id").
				Read(provider.Reply{Status: 200, Body: []byte(c.body), CutShort: c.cutShort})
			if diff := cmp.Diff(c.want, brought(outcome)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
