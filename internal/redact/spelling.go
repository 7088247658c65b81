// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// deepestSpelling is how many escapes inside of one another are undone: two, and
	// white space in each.
	deepestSpelling = 4
	// mostSpellings and longestSpellings, in bytes, bound what a message of 200 runes
	// may come to. A usual one comes to a few dozen.
	mostSpellings    = 1024
	longestSpellings = 256 << 10
)

// undo gives what a text may stand for.
var undo = []func(string) []string{
	each(html.UnescapeString),
	each(unescapePercent),
	each(unescapeQuotedPrintable),
	each(unescapeBackslash),
	each(withoutSpace),
	each(withoutSeparators),
	decodedBase64,
	decodedHex,
}

// spellings gives a text and all that it may stand for; complete is false where that
// is too much.
func spellings(text string) (all []string, complete bool) {
	all = []string{text}
	known, length, next := map[string]bool{text: true}, len(text), 0
	for range deepestSpelling {
		level := all[next:]
		next = len(all)
		for _, spelled := range level {
			for _, undo := range undo {
				for _, plain := range undo(spelled) {
					if known[plain] {
						continue
					}
					known[plain] = true
					all, length = append(all, plain), length+len(plain)
				}
			}
			if len(all) > mostSpellings || length > longestSpellings {
				return all, false
			}
		}
	}
	return all, true
}

func each(undo func(string) string) func(string) []string {
	return func(text string) []string { return []string{undo(text)} }
}

// percent is an escaped byte of a URL, or a UTF-16 unit as JavaScript's escape()
// writes it.
var percent = regexp.MustCompile(`%u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}`)

func unescapePercent(text string) string {
	return percent.ReplaceAllStringFunc(text, func(escape string) string {
		if digits, ok := strings.CutPrefix(escape, "%u"); ok {
			return string(codePoint(digits))
		}
		return byteOf(escape[1:], 16)
	})
}

// quotedPrintable is an escaped byte in mail (RFC 2045).
var quotedPrintable = regexp.MustCompile(`=[0-9A-Fa-f]{2}`)

func unescapeQuotedPrintable(text string) string {
	return quotedPrintable.ReplaceAllStringFunc(text, func(escape string) string {
		return byteOf(escape[1:], 16)
	})
}

// backslash is an escape of JSON, JavaScript, Go, C or a shell.
var backslash = regexp.MustCompile(`(\\u[dD][89abAB][0-9A-Fa-f]{2})(\\u[dD][c-fC-F][0-9A-Fa-f]{2})|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-7]{3}|\\.`)

func unescapeBackslash(text string) string {
	return backslash.ReplaceAllStringFunc(text, func(escape string) string {
		switch kind := escape[1]; {
		case len(escape) == 12: // two halves of a character
			return string(utf16.DecodeRune(codePoint(escape[2:6]), codePoint(escape[8:])))
		case (kind == 'u' || kind == 'U') && len(escape) > 2:
			return string(codePoint(strings.Trim(escape[2:], "{}")))
		case kind == 'x' && len(escape) > 2:
			return byteOf(escape[2:], 16)
		case kind >= '0' && kind <= '7' && len(escape) == 4:
			return byteOf(escape[1:], 8)
		case strings.ContainsRune("abfnrtv", rune(kind)): // white space and the like
			return " "
		}
		return escape[1:]
	})
}

func byteOf(digits string, base int) string {
	code, _ := strconv.ParseUint(digits, base, 8)
	return string([]byte{byte(code)})
}

func codePoint(digits string) rune {
	code, _ := strconv.ParseUint(digits, 16, 32)
	return rune(code & 0x1fffff)
}

// separator is what dumps write between bytes.
var separator = regexp.MustCompile(`0[xX]|[^\pL\pN]`)

// withoutSeparators takes out all that may stand between characters.
func withoutSeparators(text string) string { return separator.ReplaceAllString(text, "") }

// base64Text may be base64 (RFC 4648, either alphabet), of 4 bytes or more.
var base64Text = regexp.MustCompile(`[0-9A-Za-z+/_-]{6,}`)

var standardAlphabet = strings.NewReplacer("-", "+", "_", "/")

// decodedBase64 decodes what may be base64, whichever character of it begins a group.
func decodedBase64(text string) []string {
	var all []string
	for skipped := range 4 {
		all = append(all, base64Text.ReplaceAllStringFunc(text, func(run string) string {
			encoded := standardAlphabet.Replace(run)[skipped:]
			if len(encoded)%4 == 1 {
				encoded = encoded[:len(encoded)-1]
			}
			decoded, _ := base64.RawStdEncoding.DecodeString(encoded)
			return readable(decoded, run)
		}))
	}
	return all
}

// hexText may be bytes in hexadecimal, 4 or more.
var hexText = regexp.MustCompile(`[0-9A-Fa-f]{8,}`)

// decodedHex decodes what may be hexadecimal, whichever digit begins a byte.
func decodedHex(text string) []string {
	var all []string
	for skipped := range 2 {
		all = append(all, hexText.ReplaceAllStringFunc(text, func(run string) string {
			encoded := run[skipped:]
			decoded, _ := hex.DecodeString(encoded[:len(encoded)&^1])
			return readable(decoded, run)
		}))
	}
	return all
}

// readable is what decoded bytes have of text, and otherwise, if they have none: what a
// word that only looks encoded comes to is nothing to look into.
func readable(decoded []byte, otherwise string) string {
	kept := readableRuns(decoded)
	if len(kept) == 0 {
		return otherwise
	}
	return strings.Join(kept, " ")
}

// readableRuns are what bytes have of text, in runs of shortestSecret bytes or more.
func readableRuns(bytes []byte) []string {
	runs := strings.FieldsFunc(string(bytes), func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r) })
	return slices.DeleteFunc(runs, func(run string) bool { return len(run) < shortestSecret })
}
