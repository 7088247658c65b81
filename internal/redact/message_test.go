// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package redact_test

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/redact"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const (
	token    = "canary/Refresh+0&more"
	password = "pä55 wörd <&>"
	pin      = "4711"
	login    = "user@example.com"
)

var secrets = []string{token, password, pin, login, "", "k1"}

func TestWordsThatTellASecretAreNotShown(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, message, want string }{
		"plain words":                  {"they help", "The redirect_uri does not match, see docs.", "The redirect_uri does not match, see docs."},
		"an OAuth error":               {"it is no token", "unsupported_grant_type", "unsupported_grant_type"},
		"an error code":                {"people look it up", "AADSTS70008: the grant has expired", "AADSTS70008: the grant has expired"},
		"a page":                       {"its markup is harmless", "<p>it&#39;s not there, &amp; won&#39;t be</p>", "<p>it&#39;s not there, &amp; won&#39;t be</p>"},
		"several lines":                {"one line", "a\r\n  b\tc\u2028d", "a b c d"},
		"a token":                      {"redacted", "token canary/Refresh+0&more is bad", "token [redacted] is bad"},
		"a token in a sentence":        {"redacted with what it hangs on", "refresh_token='canary/Refresh+0&more', sorry", "[redacted] sorry"},
		"half a token":                 {"redacted", "token ary/Refr... is bad", "token [redacted] is bad"},
		"another case":                 {"redacted", "token CANARY/REFRESH+0&MORE is bad", "token [redacted] is bad"},
		"with dashes":                  {"punctuation hides nothing", "token can-ary-ref-resh is bad", "token [redacted] is bad"},
		"a password with spaces":       {"redacted as a whole", "got pä55 wörd <&> here", "got [redacted] here"},
		"a PIN":                        {"it stands alone", "PIN=4711 is wrong", "[redacted] is wrong"},
		"a PIN in a number":            {"it is short, and may be seen", "call 047110", "call [redacted]"},
		"a key of two characters":      {"where it stands alone", "key k1, not k12", "key [redacted] not k12"},
		"the domain of a login":        {"the rest of the sentence helps", "ask help@example.com", "ask [redacted]"},
		"a long word with a digit":     {"it looks like a token", "bad abcdefghijklmno1", "bad [redacted]"},
		"a long word in mixed case":    {"it looks like a token", "bad abcdefghijklmnOp", "bad [redacted]"},
		"a very long word":             {"it looks like a token", "bad abcdefghijklmnopqrstuvwxyzabcdef", "bad [redacted]"},
		"a JWT":                        {"it looks like a token", "bad eyJhbGciOiJIUzI1NiJ9.e30.x", "bad [redacted]"},
		"a long text":                  {"its middle is left out", strings.Repeat("word ", 100), strings.Repeat("word ", 23) + "word…" + strings.Repeat(" word", 16)},
		"bytes that are not UTF-8":     {"they are left out", "a\xffb", "a b"},
		"nothing":                      {"nothing", "", ""},
		"what stands for a secret":     {"it is no word", "[redacted] [redacted] x", "[redacted] x"},
		"words about encodings":        {"they decode to nothing", "the base64 encoding of hexadecimal deadbeef", "the base64 encoding of hexadecimal deadbeef"},
		"a path":                       {"it is no base64", "POST /oauth/token", "POST /oauth/token"},
		"a secret in an escape, alone": {"all is left out, since what else there is was not looked for", "a &#99;&#97;nary/&#82;efresh b", "[redacted]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := redact.Message(c.message, secrets); got != c.want {
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestNoSpellingTellsASecret(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a secret escaped twice, or with white space in it, in a reply's message")
	for name, spell := range spellings {
		for _, each := range []string{token, pin} {
			for other, outer := range spellings {
				spelled := outer(spell(each))
				for place, message := range map[string]string{"in words": "the value " + spelled + " is bad", "in a query": "x=" + spelled + "&y=1"} {
					shown := redact.Message(message, secrets)
					if tells(shown, each) {
						t.Errorf("%q %s, spelled as %s inside of %s: %q is shown as %q", each, place, name, other, message, shown)
					}
				}
			}
		}
	}
}

// TestAPartOfASecretIsOneToo cuts an escaped secret off, at either end.
func TestAPartOfASecretIsOneToo(t *testing.T) {
	t.Parallel()
	for name, spell := range spellings {
		for _, part := range []string{token[:9], token[5:14], "\"" + token[3:12]} {
			if shown := redact.Message("got "+spell(part), secrets); tells(shown, part) {
				t.Errorf("a part, spelled as %s: %q shows %q", name, shown, part)
			}
		}
	}
}

// TestWhatCostsMostIsBounded gives what costs most: it takes milliseconds, or, if the
// cost grew with the product of message and secrets, hours.
func TestWhatCostsMostIsBounded(t *testing.T) {
	t.Parallel()
	large := []string{strings.Repeat("aA0/", 64<<10), strings.Repeat("&#97;", 32<<10), strings.Repeat("%25", 32<<10)}
	for name, message := range map[string]string{
		"nested escapes": strings.Repeat("&amp;", 400), "base64 everywhere": strings.Repeat("QUFB QUFBQUFB ", 200),
		"hexadecimal": strings.Repeat("41 4141414141 ", 200), "backslashes": strings.Repeat(`\\`, 1000), "percents": strings.Repeat("%25", 700),
		"all of them": strings.Repeat(`&#37;41\u0025QUFB 41414141 `, 100), "a huge one": strings.Repeat("x y ", 1<<20),
	} {
		if shown := redact.Message(message, large); len([]rune(shown)) > 200 {
			t.Errorf("%s: %d characters are shown", name, len([]rune(shown)))
		}
	}
}
