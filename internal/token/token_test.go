// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"testing"
	"time"
)

func TestValiditiesOfOneToken(t *testing.T) {
	t.Parallel()
	issued := time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)
	hour := Validity{IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)}
	for _, test := range []struct {
		name   string
		other  Validity
		want   bool
		reason string
	}{
		{"the same times", hour, true, "they are all that tells two tokens apart"},
		{"the same times in another zone", Validity{IssuedAt: issued.In(time.FixedZone("", 3600)), ExpiresAt: issued.Add(time.Hour).Local()}, true, "an annotation is read back in another zone than it was written in"},
		{"issued later", Validity{IssuedAt: issued.Add(time.Second), ExpiresAt: issued.Add(time.Hour)}, false, "it is the next token of a provider that rounds expiries"},
		{"good for longer", Validity{IssuedAt: issued, ExpiresAt: issued.Add(2 * time.Hour)}, false, "it is another token of the same second"},
		{"no token", Validity{}, false, "nothing is not a token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if hour.Equal(test.other) != test.want || test.other.Equal(hour) != test.want {
				t.Errorf("Equal is not %t: %s", test.want, test.reason)
			}
		})
	}
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	if !(Token{}).IsZero() || !(Validity{}).IsZero() {
		t.Error("a zero value is a token: what was never obtained would be published")
	}
	if (Validity{ExpiresAt: time.Unix(1, 0)}).IsZero() {
		t.Error("a token whose issue is not known is none: one that the state restored would be asked for again")
	}
}
