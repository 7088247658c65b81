// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func valid() token.Validity {
	return token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon}
}

func TestAMarkIsReadAsItWasEncoded(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		mark   Mark
		want   string
	}{
		"whole seconds": {
			"it is readable and compact",
			Mark{Validity: valid(), Source: "ab12", Requested: "9f3c", Set: "a:note+l:app", Digest: "01-02"},
			"issued=2026-11-22T11:00:00Z,expires=2026-11-22T12:00:00Z,source=ab12,requested=9f3c,set=a:note+l:app,digest=01-02",
		},
		"fractions": {
			"a time is kept as exactly as it is known",
			Mark{Validity: token.Validity{IssuedAt: noon.Add(-time.Nanosecond), ExpiresAt: noon}, Digest: "d"},
			"issued=2026-11-22T11:59:59.999999999Z,expires=2026-11-22T12:00:00Z,digest=d",
		},
		"separators in values": {
			"what a value holds does not end it",
			Mark{Validity: valid(), Source: "a,digest=x", Requested: "2026-11-22T12:00:00+01:00 %", Digest: "d"},
			"issued=2026-11-22T11:00:00Z,expires=2026-11-22T12:00:00Z,source=a%2Cdigest%3Dx,requested=2026-11-22T12:00:00+01:00 %25,digest=d",
		},
		"a token that ended before it was issued": {
			"a provider may say so, and it is no reason to forget it",
			Mark{Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(-time.Hour)}, Digest: "d"},
			"issued=2026-11-22T12:00:00Z,expires=2026-11-22T11:00:00Z,digest=d",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.mark.Encode(); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
			got, ok := ReadMark(map[string]string{MarkKey("1"): c.want}, "1")
			if diff := cmp.Diff(c.mark, got); diff != "" || !ok {
				t.Errorf("%s: read %t (-want +got):\n%s", c.reason, ok, diff)
			}
		})
	}
}

func TestReadMarkBearsGarbage(t *testing.T) {
	t.Parallel()
	good := Mark{Validity: valid(), Digest: "d"}.Encode()
	cases := map[string]struct {
		reason string
		uid    types.UID
		key    string
		value  string
		ok     bool
	}{
		"a good one":             {"the others differ from it in one thing", "1", "token.tokenkeeper.io/1", good, true},
		"a newer version's":      {"what is not known is ignored", "1", "token.tokenkeeper.io/1", good + ",more=1,flag", true},
		"another's":              {"a mark is one credential's", "1", "token.tokenkeeper.io/2", good, false},
		"nobody's":               {"a credential without a UID has no mark", "", "token.tokenkeeper.io/", good, false},
		"empty":                  {"it says nothing", "1", "token.tokenkeeper.io/1", "", false},
		"a word":                 {"it says nothing", "1", "token.tokenkeeper.io/1", "hello", false},
		"no expiry":              {"half a validity is none", "1", "token.tokenkeeper.io/1", "issued=2026-11-22T12:00:00Z,digest=d", false},
		"no digest":              {"nothing says which data it goes with", "1", "token.tokenkeeper.io/1", "issued=2026-11-22T12:00:00Z,expires=2026-11-22T12:00:00Z", false},
		"a time that is none":    {"nothing is guessed", "1", "token.tokenkeeper.io/1", good + ",expires=soon", false},
		"an escape that is none": {"nothing is guessed", "1", "token.tokenkeeper.io/1", good + ",source=%zz", false},
		"without end":            {"a mark is short", "1", "token.tokenkeeper.io/1", good + ",source=" + strings.Repeat("x", longestMark), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark, ok := ReadMark(map[string]string{c.key: c.value}, c.uid)
			if ok != c.ok || mark.IsZero() == c.ok {
				t.Errorf("%s: got %+v, %t, want %t", c.reason, mark, ok, c.ok)
			}
		})
	}
}
