// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

func TestMend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ reason, text, want string }{
		"nothing to mend":               {"it stays as it is", `{"a":"b, }\"\\","c":[1,2]}`, `{"a":"b, }\"\\","c":[1,2]}`},
		"a line feed in a string":       {"it is escaped", "{\"a\":\"b\nc\"}", `{"a":"b\u000ac"}`},
		"a tab and a NUL in a string":   {"they are escaped", "{\"a\":\"\t\x00\"}", `{"a":"\u0009\u0000"}`},
		"white space between members":   {"it belongs there", "{\n\t\"a\": 1\n}", "{\n\t\"a\": 1\n}"},
		"an escape that there is not":   {"the character is meant", `{"a":"it\'s \x"}`, `{"a":"it's x"}`},
		"an escaped quote":              {"it does not end the string", `{"a":"\",}"}`, `{"a":"\",}"}`},
		"a comma before a brace":        {"it is left out", `{"a":1,}`, `{"a":1}`},
		"a comma before a bracket":      {"white space may follow", "[1 , \n]", "[1  \n]"},
		"a comma in a string":           {"it is text", `{"a":",}"}`, `{"a":",}"}`},
		"a comma where nothing follows": {"more may have followed", `{"a":1,`, `{"a":1,`},
		"a stroke at the end":           {"half of an escape is none", `{"a":"\`, `{"a":"\`},
		"nothing":                       {"nothing", ``, ``},
	} {
		got, changed := jsontext.Mend([]byte(c.text))
		if string(got) != c.want || changed != (c.text != c.want) {
			t.Errorf("%s: %q, changed %t, want %q\nreason: %s", name, got, changed, c.want, c.reason)
		}
	}
}
