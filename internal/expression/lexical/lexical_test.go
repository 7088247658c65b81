// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lexical_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
)

func TestAnExpressionEndsAtItsOwnBrace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, text string
		want         int
	}{
		"a name":                    {"the first brace closes it", "app.key} and more", 7},
		"a map":                     {"braces nest", "{'a': {}}.a}", 11},
		"a brace in a text":         {"it counts for nothing there", `"}" + '}'}`, 9},
		"an escaped quote":          {"the text goes on", `"\"}"}`, 5},
		"a backslash in a raw text": {"it escapes nothing", `r'\'}`, 4},
		"a name that ends in r":     {"it makes no text raw", `bar'\'}'}`, 8},
		"three quotes":              {"single ones are part of the text", `"""a"}"""}`, 9},
		"a comment":                 {"it ends with its line", "a // }\n}", 7},
		"no brace":                  {"it has no end", "app.key", -1},
		"a text without an end":     {"it hides the brace", `"app.key}`, -1},
	} {
		if got := lexical.Closing(c.text); got != c.want {
			t.Errorf("%s: %d, want %d\nreason: %s", name, got, c.want, c.reason)
		}
	}
}

func TestAPlaceIsCountedInCharacters(t *testing.T) {
	t.Parallel()
	if line, column := lexical.Position("ä\nöü x", len("ä\nöü ")); line != 2 || column != 4 {
		t.Errorf("it is at %d:%d, want 2:4: an editor counts characters, not bytes", line, column)
	}
}
