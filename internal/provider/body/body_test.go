// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package body_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/body"
)

// isToken is what a description would say: a member t.
func isToken(value any) bool {
	object, _ := value.(map[string]any)
	_, has := object["t"]
	return has
}

func TestABodyIsReadInWhateverFrameItComes(t *testing.T) {
	t.Parallel()
	token := map[string]any{"t": "x"}
	for name, c := range map[string]struct {
		source body.Source
		want   any
		kind   body.Kind
		flaw   string
	}{
		"JSON":                     {body.Source{Bytes: []byte(`{"t":"x"}`)}, token, body.JSON, ""},
		"a prefix":                 {body.Source{Bytes: []byte(`#{"t":"x"}`), Prefix: "#"}, token, body.JSON, ""},
		"UTF-16":                   {body.Source{Bytes: []byte("{\x00\"\x00t\x00\"\x00:\x00\"\x00x\x00\"\x00}\x00")}, token, body.JSON, ""},
		"a form":                   {body.Source{Bytes: []byte(`t=x`)}, token, body.Form, ""},
		"a form where JSON is due": {body.Source{Bytes: []byte(`t=x`), Format: v1alpha1.FormatJSON}, "t=x", body.Text, ""},
		"text":                     {body.Source{Bytes: []byte(`sorry`)}, "sorry", body.Text, ""},
		"text before it":           {body.Source{Bytes: []byte(`Warning: {"t":"x"}`)}, token, body.JSON, "its JSON stands in the midst of other text"},
		"text behind it":           {body.Source{Bytes: []byte(`{"t":"x"}<html>`)}, token, body.JSON, "other text follows its JSON"},
		"a list of one":            {body.Source{Bytes: []byte(`[{"t":"x"}]`)}, token, body.JSON, "its JSON is a list where an object is wanted"},
		"a comma too many":         {body.Source{Bytes: []byte(`{"t":"x",}`)}, token, body.JSON, "its JSON is not valid, and was read as it is most likely meant"},
		"a flaw of its own":        {body.Source{Bytes: []byte(`{"t":"x"}`), Flaw: "bad gzip"}, token, body.JSON, "bad gzip"},
		"an end too early": {body.Source{Bytes: []byte(`{"t":"x"}`), CutShort: true}, token, body.JSON,
			"it ended before the end that was announced, and behind what it holds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.source.Read(isToken)
			if diff := cmp.Diff(c.want, got.Value); diff != "" || got.Kind != c.kind || got.Flaw != c.flaw {
				t.Errorf("read as %v of kind %d with the flaw %q (-want +got):\n%s", got.Value, got.Kind, got.Flaw, diff)
			}
		})
	}
}

func TestWhatIsWholeRemainsOfABrokenBody(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"JSON that breaks off":   `{"t":"x","rest":{"a`,
		"a form that breaks off": `t=x&u=hal`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := body.Source{Bytes: []byte(text), CutShort: true}
			remains := slices.Collect(source.Remains(func(string) bool { return true }))
			if !slices.ContainsFunc(remains, isToken) {
				t.Errorf("%v remains, without a token", remains)
			}
		})
	}
}

func FuzzSource(f *testing.F) {
	for _, seed := range []string{
		`{"t":"x"}`, `t=x&u=y`, `callback({"t":"a"});`, `<p>{&quot;t&quot;:1}</p>`, "\xff\xfe{\x00}\x00", `"{\"t\":1}"`, `{"t":"x",}`,
		strings.Repeat(`[{"`, 80), `[` + strings.Repeat(`{"":0},`, 300), "x\nt=a&r=r\n",
	} {
		f.Add([]byte(seed), "", false)
	}
	f.Fuzz(func(t *testing.T, bytes []byte, prefix string, cutShort bool) {
		source := body.Source{Bytes: bytes, Prefix: prefix, CutShort: cutShort}
		content := source.Read(isToken)
		if content.Kind == body.JSON && !content.Ends {
			t.Error("JSON that does not show its end")
		}
		if content.Kind == body.Text && content.Flaw != "" {
			t.Errorf("a flaw of a text: %s", content.Flaw)
		}
		for range source.Remains(func(string) bool { return true }) {
			continue // that it ends is what is tested
		}
	})
}
