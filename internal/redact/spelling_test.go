// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

// spellings are the ways in which a provider may write what it echoes.
var spellings = map[string]func(string) string{
	"itself":                  func(s string) string { return s },
	"HTML":                    html.EscapeString,
	"HTML in decimal":         perRune("&#%d;"),
	"HTML in hexadecimal":     perRune("&#x%x;"),
	"HTML with zeros":         perRune("&#%07d;"),
	"a query":                 url.QueryEscape,
	"a path":                  url.PathEscape,
	"percents":                perByte("%%%02X"),
	"JavaScript's escape":     perUnit("%%u%04x"),
	"JSON":                    quoted,
	"JSON units":              perUnit(`\u%04X`),
	"code points in braces":   perRune(`\u{%x}`),
	"C's bytes":               perByte(`\x%02x`),
	"C's bytes in octal":      perByte(`\%03o`),
	"quoted-printable":        perByte("=%02X"),
	"base64":                  encoded(base64.StdEncoding),
	"base64 without padding":  encoded(base64.RawStdEncoding),
	"base64 of URLs":          encoded(base64.URLEncoding),
	"raw base64 of URLs":      encoded(base64.RawURLEncoding),
	"a basic credential":      func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("k1:"+s)) },
	"the key of a credential": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s + ":x")) },
	"base64 in lines":         func(s string) string { return spaced("\n", 5)(base64.StdEncoding.EncodeToString([]byte(s))) },
	"hexadecimal":             func(s string) string { return hex.EncodeToString([]byte(s)) },
	"upper hexadecimal":       func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"a dump":                  perByte("%02x "),
	"a dump with colons":      perByte("%02X:"),
	"a list of bytes":         perByte("0x%02x, "),
	"spaces":                  spaced(" ", 3),
	"spaces everywhere":       spaced(" ", 1),
	"zero-width spaces":       spaced("\u200b", 2),
	"soft hyphens":            spaced("\u00ad", 4),
	"lines":                   spaced("\r\n", 4),
	"upper case":              strings.ToUpper,
}

func perRune(format string) func(string) string {
	return func(s string) string {
		var spelled strings.Builder
		for _, r := range s {
			fmt.Fprintf(&spelled, format, r)
		}
		return spelled.String()
	}
}

func perByte(format string) func(string) string {
	return func(s string) string {
		var spelled strings.Builder
		for _, b := range []byte(s) {
			fmt.Fprintf(&spelled, format, b)
		}
		return spelled.String()
	}
}

func perUnit(format string) func(string) string {
	return func(s string) string {
		var spelled strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&spelled, format, unit)
		}
		return spelled.String()
	}
}

func encoded(encoding *base64.Encoding) func(string) string {
	return func(s string) string { return encoding.EncodeToString([]byte(s)) }
}

func quoted(s string) string {
	encoded, _ := json.Marshal(s)
	return strings.Trim(string(encoded), `"`)
}

func spaced(separator string, every int) func(string) string {
	return func(s string) string {
		var spelled strings.Builder
		for i, r := range []rune(s) {
			if i > 0 && i%every == 0 {
				spelled.WriteString(separator)
			}
			spelled.WriteRune(r)
		}
		return spelled.String()
	}
}

// tells reports whether a reader who tries the usual decoders on a text, or on a word
// of it, twice and more, comes upon a secret. It shares no code with what it checks.
func tells(text, secret string) bool {
	level := []string{text}
	for range 5 {
		var next []string
		for _, spelled := range level {
			if strings.Contains(fold(spelled), fold(secret)) {
				return true
			}
			for _, word := range append(strings.FieldsFunc(spelled, func(r rune) bool { return strings.ContainsRune(" =&\"", r) }), strings.Fields(spelled)...) {
				next = append(next, decodings(word)...)
			}
			next = append(next, decodings(spelled)...)
			if together := fold(spelled); together != strings.ToLower(spelled) {
				next = append(next, decodings(strings.Join(strings.Fields(spelled), ""))...)
			}
		}
		level = next
	}
	return false
}

// fold takes out white space and case.
func fold(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text))
}

func decodings(word string) []string {
	var all []string
	add := func(decoded string, err error) {
		if err == nil && decoded != word && decoded != "" {
			all = append(all, decoded)
		}
	}
	add(html.UnescapeString(word), nil)
	add(url.QueryUnescape(word))
	add(url.PathUnescape(word))
	add(strconv.Unquote(`"` + word + `"`))
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		decoded, err := encoding.DecodeString(word)
		add(string(decoded), err)
	}
	decoded, err := hex.DecodeString(strings.NewReplacer(":", "", "0x", "", ",", "", " ", "").Replace(word))
	add(string(decoded), err)
	return all
}

// FuzzSanitize spells a secret in up to two ways, one inside of the other, with white
// space in each, and looks for it in what is shown.
func FuzzSanitize(f *testing.F) {
	var ways []func(string) string
	for _, name := range sortedNames() {
		ways = append(ways, spellings[name])
	}
	f.Add(token, "the token ", " is bad", uint8(1), uint8(2))
	f.Add(password, "", "", uint8(5), uint8(11))
	f.Add("hunter2hunter2", "x=", "&y", uint8(20), uint8(30))
	f.Fuzz(func(t *testing.T, secret, before, after string, inner, outer uint8) {
		if min(len(secret), len(fold(secret))) < 8 || len(secret) > 200 {
			t.Skip("a short secret is looked for where it stands alone")
		}
		message := before + ways[int(outer)%len(ways)](ways[int(inner)%len(ways)](secret)) + after
		shown := redact.Message(message, []string{secret, "another"})
		if tells(shown, secret) {
			t.Errorf("%q in %q is shown as %q", secret, message, shown)
		}
		if len([]rune(shown)) > 200 || strings.ContainsAny(shown, "\n\r\x00") {
			t.Errorf("an unfit message: %q", shown)
		}
	})
}

func sortedNames() []string {
	var names []string
	for name := range spellings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
