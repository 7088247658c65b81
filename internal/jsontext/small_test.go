// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// texts draws what is JSON, nearly JSON, or JSON with something behind it.
func texts() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, `"\u00e9\n"`, "\"\xff\"", `"é"`, "1", "-0", "1.5", "1e3", "12345678901234567890", "true", "null", " ", "x", `\`,
		`{"a":`, `"a":1`, `,"a":2`, `{"a":{"b":[1,{"c":null}]}}`, `["x",-1e400]`, `}}`, `]}`,
	})
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "") })
}

// FuzzDecodeSmall holds the short way to what the long one says.
func FuzzDecodeSmall(f *testing.F) {
	for _, seed := range []string{`{"a":"b","n":1,"f":1.5,"big":12345678901234567890}<html>`, `{"a":1,"a":{"b":[]}} {"c":1}`, `[1,[2,[3]]]`, `"tok" x`, `12 3`, `12x`, `{"a":1,}`, ``} {
		f.Add(seed)
	}
	f.Fuzz(compare)
}

func TestTheShortWayDecodesAsTheLongOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) { compareIn(rt, texts().Draw(rt, "text")) })
}

func compare(t *testing.T, text string) { compareIn(t, text) }

func compareIn(t interface{ Fatalf(string, ...any) }, text string) {
	value, rest, ok := decodeSmall([]byte(text))
	if !ok {
		return
	}
	want, wantRest, err := decodeBounded([]byte(text))
	if err != nil || !reflect.DeepEqual(value, want) || string(rest) != string(wantRest) {
		t.Fatalf("%q: the short way gives %#v and leaves %q, the long one %#v and %q (%v)", text, value, rest, want, wantRest, err)
	}
}

func TestWhatIsUsualIsDecodedTheShortWay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{"access_token":"a","expires_in":3600,"data":{"scope":["x","y"]}}`: true,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth):       true,
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1):   false,
		"[" + strings.Repeat("1,", MaxValues-3) + "1]":                      true,
		"[" + strings.Repeat("1,", MaxValues) + "1]":                        false,
		"{\"a\":\"\xff\"}": false,
		`{"a"`:             false,
	} {
		if _, _, ok := decodeSmall([]byte(text)); ok != want {
			t.Errorf("%.80q: the short way is %v, want %v", text, ok, want)
		}
	}
}

func TestSizeIsThatOfWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\x00\x1f\x7f\b\f\n\r\t", "\u2028\u2029\u2027", `"\/<>&`, "\xff", "\U0010FF41"})).Draw(t, "text")
		for _, value := range []any{text, []any{text, int64(1)}, 1.5} {
			size, err := Size(value)
			encoded, encodeErr := Encode(value)
			if size != len(encoded) || (err == nil) != (encodeErr == nil) {
				t.Fatalf("the size of %#v is %d (%v), and %q has %d (%v)", value, size, err, encoded, len(encoded), encodeErr)
			}
		}
	})
}
