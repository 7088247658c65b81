// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package encoding

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// FuzzDecode reads states that somebody has changed by hand.
func FuzzDecode(f *testing.F) {
	f.Add("token", "2026-11-26T12:00:00Z", `{"scope":"a","n":1.5}`, "7", "aa\nbb", `{"secret":"uid","cluster":"c"}`, `{"id":"1","holder":"me","started":"2026-11-26T12:00:00Z","token":"aa"}`)
	f.Add("", "", "", "", "", "", "")
	f.Add("to\x00ken\xff", "9999-12-31T23:59:59-23:59", `{"a":{"a":[[[{}]]]}}`, "-9223372036854775808", " \n ", "null", "null")
	f.Add("x", "yesterday", `"text"`, "1e3", "\xff", `{"secret":1}`, `{"started":"never"}`)
	f.Fuzz(func(t *testing.T, token, moment, outputs, sequence, spent, identity, attempt string) {
		data := map[string][]byte{
			keyRefreshToken: []byte(token), keyAccessToken: []byte(token), keyExpiresAt: []byte(moment), keyRefreshTokenExpiresAt: []byte(moment),
			keyOutputs: []byte(outputs), keySequence: []byte(sequence), keySpent: []byte(spent), keyIdentity: []byte(identity), keyAttempt: []byte(attempt),
		}
		state, err := Decode(data)
		if state.RefreshToken.Reveal() != token {
			t.Error("the refresh token is read byte for byte, whatever else is damaged")
		}
		if err != nil {
			for _, value := range []string{token, moment, outputs, sequence, spent, identity, attempt} {
				if len(value) >= 8 && strings.Contains(err.Error(), value) {
					t.Errorf("the error quotes a value: %v", err)
				}
			}
			return
		}
		// Whatever can be read can be worked with, written, and read again.
		adopted := state.Adopt(secret.New("new"))
		if verdict := adopted.Judge(secret.New("new")); verdict != rotation.SeedUnchanged {
			t.Errorf("an adopted seed is %s", verdict)
		}
		written := map[string][]byte{}
		if err := Encode(state, written); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(written)
		if err != nil {
			t.Fatalf("what was read from %q cannot be read again: %v", data, err)
		}
		if diff := cmp.Diff(state, again, cmp.Comparer(secret.Text.Equal), cmpopts.EquateEmpty(), sameNumbers); diff != "" {
			t.Errorf("what is read again differs (-want +got):\n%s", diff)
		}
	})
}

// sameNumbers takes a whole number for the same whether it was written as 1 or as 1.0: JSON
// knows no difference, and CEL compares them by their values.
var sameNumbers = cmp.FilterValues(func(a, b any) bool {
	_, isNumber := number(a)
	_, isOther := number(b)
	return isNumber && isOther
}, cmp.Comparer(func(a, b any) bool {
	one, _ := number(a)
	other, _ := number(b)
	return one == other
}))

func number(value any) (float64, bool) {
	switch value := value.(type) {
	case int64:
		return float64(value), true
	case float64:
		return value, true
	}
	return 0, false
}
