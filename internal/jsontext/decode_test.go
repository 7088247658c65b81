// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

func TestDecodePartial(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	kept := any(nil) // what is left of it
	for range 31 {
		kept = []any{kept}
	}
	cases := map[string]struct {
		reason string
		text   string
		want   any
	}{
		"a whole value":              {"nothing is left out", `{"a":{"b":["c",1]}}`, map[string]any{"a": map[string]any{"b": []any{"c", int64(1)}}}},
		"cut behind a string":        {"a string to its closing quote is whole", `{"a":"b","c":"d"`, map[string]any{"a": "b", "c": "d"}},
		"cut inside a string":        {"half a token is none", `{"a":"b","c":"d`, map[string]any{"a": "b"}},
		"cut behind a backslash":     {"an escape that is not whole makes the string not whole", `{"a":"b","c":"d\`, map[string]any{"a": "b"}},
		"cut inside a name":          {"a name alone says nothing", `{"a":"b","c`, map[string]any{"a": "b"}},
		"cut inside a number":        {"more digits may have followed", `{"a":"b","c":12`, map[string]any{"a": "b"}},
		"cut behind a number":        {"a comma ends it", `{"a":"b","c":12,`, map[string]any{"a": "b", "c": int64(12)}},
		"cut deep inside":            {"what lies around it is kept as far as it goes", `{"a":{"b":"c","d":["e`, map[string]any{"a": map[string]any{"b": "c", "d": []any{nil}}}},
		"broken in the middle":       {"what follows cannot be trusted", `{"a":"b";"c":"d"}`, map[string]any{"a": "b"}},
		"nested 20,000 deep":         {"what is too deep is left out, and what follows is read", `{"a":"b","deep":` + deep + `,"c":"d"}`, map[string]any{"a": "b", "c": "d", "deep": kept}},
		"opened 20,000 times":        {"what is before it is kept", `{"a":"b","deep":` + deep[:20_000], map[string]any{"a": "b", "deep": kept}},
		"bytes that are not UTF-8":   {"they are kept as they are", "{\"a\":\"\xff\xfe\",\"c\":\"d", map[string]any{"a": "\xff\xfe"}},
		"no JSON":                    {"there is nothing to keep", `<html>`, nil},
		"nothing":                    {"there is nothing to keep", ``, nil},
		"a name that is no string":   {"there is nothing to keep", `{1:"a"}`, map[string]any{}},
		"an object that never ended": {"there is nothing to keep", `{`, map[string]any{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// go-cmp takes exponential time for what is nested this deep.
			if got := jsontext.DecodePartial([]byte(c.text), nil); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %v, want %v", c.reason, got, c.want)
			}
		})
	}
}
