// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package encoding

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestEncodingKeepsEveryByte(t *testing.T) {
	t.Parallel()
	state := rotation.State{
		Lineage: rotation.Lineage{
			RefreshToken:          text("line\nfeed\x00nul\xff\xfebytes "),
			PreviousRefreshToken:  text("previous"),
			RefreshTokenExpiresAt: noon.Add(time.Hour),
			Spent:                 rotation.Ledger{"aa", "bb"},
			Seed:                  "cc",
			PreviousSeed:          "ff",
			Origin:                atA,
			PreviousOrigin:        atB,
		},
		Token: token.Token{
			AccessToken: text("access"),
			Type:        "mac",
			Validity:    token.Validity{IssuedAt: noon.Add(123 * time.Nanosecond), ExpiresAt: noon.Add(time.Minute)},
			Outputs:     map[string]any{"whole": int64(9007199254740993), "part": 1.5, "text": "a", "list": []any{int64(1)}, "none": nil},
		},
		Sequence:    7,
		Source:      "dd",
		TokenOrigin: rotation.Origin{Login: "https://c.example"},
		Identity:    rotation.Identity{Secret: "uid", Cluster: "cluster"},
		Attempt:     &rotation.Attempt{ID: "1", Holder: "me", Started: noon, Token: "ee", Resend: true},
	}
	data := map[string][]byte{"foreign": []byte("kept")}
	if err := Encode(state, data); err != nil {
		t.Fatal(err)
	}
	if string(data[keyRefreshToken]) != state.RefreshToken.Reveal() {
		t.Error("the refresh token is in the Secret in clear, byte for byte")
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state, got, cmp.Comparer(secret.Text.Equal)); diff != "" {
		t.Errorf("what is read is what was written (-want +got):\n%s", diff)
	}
	if err := Encode(rotation.State{}, data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]byte{"foreign": []byte("kept"), keySequence: []byte("0")}, data); diff != "" {
		t.Errorf("an empty state leaves foreign keys alone (-want +got):\n%s", diff)
	}
}

func TestDecodeNamesWhatCannotBeReadAndQuotesNothing(t *testing.T) {
	t.Parallel()
	for _, key := range []string{keyIssuedAt, keyExpiresAt, keyRefreshTokenExpiresAt, keySequence, keyOutputs, keyIdentity, keyAttempt, keyOrigin} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			_, err := Decode(map[string][]byte{key: []byte("canary")})
			if err == nil || !strings.Contains(err.Error(), key) {
				t.Fatalf("the error must name the key %s: %v", key, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Error("the error quotes what is in the Secret")
			}
		})
	}
}

func TestTheSizeOfAStateIsThatOfWhatIsStored(t *testing.T) {
	t.Parallel()
	before := Size(rotation.State{Lineage: rotation.Lineage{RefreshToken: secret.New("one")}})
	after := Size(rotation.State{Lineage: rotation.Lineage{RefreshToken: secret.New("one" + strings.Repeat("x", 1000))}})
	if before <= len("one") || after-before != 1000 {
		t.Errorf("%d bytes become %d, want a thousand more for a thousand more", before, after)
	}
}
