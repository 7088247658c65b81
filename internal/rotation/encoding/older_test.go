// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package encoding

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// fromBefore is a state Secret as operators before v0.1 wrote it, after a rotation, and with
// the claim of a process that was killed. Its digests are the first half of SHA-256, in hex.
func fromBefore() map[string][]byte {
	return map[string][]byte{
		"refresh_token":            []byte("second"),
		"previous_refresh_token":   []byte("first"),
		"refresh_token_expires_at": []byte("2026-12-03T12:00:00Z"),
		"access_token":             []byte("access"),
		"token_type":               []byte("mac"),
		"issued_at":                []byte("2026-11-26T12:00:00.123456789Z"),
		"expires_at":               []byte("2026-11-26T13:00:00Z"),
		"outputs":                  []byte(`{"expires":9007199254740993,"mac_key":"k"}`),
		"sequence":                 []byte("2"),
		"spent":                    []byte("a7937b64b8caa58f03721bb6bacf5c78"),
		"seed":                     []byte("a7937b64b8caa58f03721bb6bacf5c78"),
		"source":                   []byte("0123456789abcdef0123456789abcdef"),
		"identity":                 []byte(`{"secret":"uid","cluster":"cluster"}`),
		"attempt":                  []byte(`{"id":"1","holder":"pod/gone","started":"2026-11-26T12:48:00Z","token":"16367aacb67a4a017c8da8ab95682ccb"}`),
	}
}

// TestAStateFromBeforeTheFirstRelease is read as it was meant, and what is written back can
// be read by the operator that wrote it.
func TestAStateFromBeforeTheFirstRelease(t *testing.T) {
	t.Parallel()
	data := fromBefore()
	state, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for what, is := range map[string]bool{
		"the live refresh token is kept":             state.RefreshToken.Reveal() == "second",
		"the one before is kept":                     state.PreviousRefreshToken.Reveal() == "first",
		"the access token is kept, with its outputs": state.Token.AccessToken.Reveal() == "access" && state.Token.Outputs["mac_key"] == "k",
		"its times are kept":                         state.Token.IssuedAt.Nanosecond() == 123456789 && state.Token.ExpiresAt.Equal(time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)),
		"the seed is the one that was adopted":       state.Seed == text("first").Digest(),
		"a spent token is known":                     state.Spent.Contains(text("first").Digest()),
		"the live token is not lost":                 !state.Lost(),
		"the claim is on the live token":             state.Attempt != nil && state.Attempt.Token == text("second").Digest() && state.Attempt.Holder == "pod/gone",
		"it is known whose state it is":              state.Identity == rotation.Identity{Secret: "uid", Cluster: "cluster"},
	} {
		if !is {
			t.Errorf("not so: %s", what)
		}
	}
	written := map[string][]byte{}
	if err := Encode(state, written); err != nil {
		t.Fatal(err)
	}
	for key, was := range fromBefore() {
		if diff := cmp.Diff(string(was), string(written[key])); diff != "" {
			t.Errorf("%s is written otherwise (-before +now):\n%s", key, diff)
		}
	}
}
