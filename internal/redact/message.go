// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redact makes what a provider says fit to be shown. A provider may echo what
// it was sent, in clear, escaped or cut to pieces, and what it says ends in a status
// that more people read than may read the Secrets.
//
// It guards against a provider that is careless. One that is hostile has the secrets
// anyway, and can write them in ways that nobody reads back.
package redact

import (
	"slices"
	"strings"
	"unicode"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const (
	// longestMessage is how much of a provider's message is shown, in runes.
	longestMessage = 200
	// shownEnd is how much of a longer one is shown of its end, in runes.
	shownEnd = 80
	// consideredMessage is how much of it is looked at, in bytes.
	consideredMessage = 1 << 10
)

// redacted stands for each word that is not shown, or for all of them.
const redacted = secret.Redacted

// Message makes a provider's message safe to show: one line of printable text without
// any word that is, holds, or is a part of one of the secrets, or that looks like a
// token. Where what is left tells a secret still, once escapes are undone or white
// space is taken out, nothing of it is shown.
func Message(text string, secrets []string) string {
	words := strings.Fields(withoutPhrases(printable(text), secrets))
	telling := holding(words, secrets)
	for i, word := range words {
		if word != redacted && (telling[i] || isShortSecret(word, secrets) || slices.ContainsFunc(pieces(word), looksLikeToken)) {
			words[i] = redacted
		}
	}
	words = slices.CompactFunc(words, func(a, b string) bool { return a == redacted && b == redacted })
	shown := shorten(strings.Join(words, " "))
	if reveals(strings.ReplaceAll(shown, redacted, ""), secrets) {
		return redacted
	}
	return shown
}

// printable replaces what is not printable, line feeds included, by spaces.
func printable(text string) string {
	if len(text) > consideredMessage {
		text = text[:consideredMessage]
	}
	runes := []rune(strings.ToValidUTF8(text, " "))
	for i, r := range runes {
		if !unicode.IsPrint(r) || unicode.IsSpace(r) {
			runes[i] = ' '
		}
	}
	return string(runes)
}

// withoutPhrases replaces secrets that have spaces in them. Other secrets are found in
// the words.
func withoutPhrases(text string, secrets []string) string {
	for _, each := range secrets {
		for _, phrase := range []string{each, strings.Join(strings.Fields(printable(each)), " ")} {
			if strings.ContainsRune(phrase, ' ') && strings.TrimSpace(phrase) != "" {
				text = strings.ReplaceAll(text, phrase, redacted)
			}
		}
	}
	return text
}

// isShortSecret reports whether a secret too short to be looked for inside of words
// stands in this one alone.
func isShortSecret(word string, secrets []string) bool {
	for _, piece := range append(pieces(word), word) {
		piece = strings.Trim(piece, ".*-")
		if slices.ContainsFunc(secrets, func(each string) bool { return each != "" && strings.EqualFold(piece, each) }) {
			return true
		}
	}
	return false
}

// pieces of a word between its punctuation.
func pieces(word string) []string {
	return strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune(":=,;\"'`()[]{}<>|&?!…", r) })
}

// looksLikeToken tells a long word that no language has: 32 characters or more,
// or 16 with a digit or with upper case after lower case in it.
func looksLikeToken(word string) bool {
	runes := []rune(word)
	if len(runes) < 16 {
		return false
	}
	if len(runes) >= 32 {
		return true
	}
	for i, r := range runes {
		if unicode.IsDigit(r) || i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			return true
		}
	}
	return false
}

// shorten leaves the middle out: servers that quote RFC 6749 first say what is wrong at the
// end (ory/fosite does).
func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= longestMessage {
		return text
	}
	end := len(runes) - shownEnd
	return string(runes[:longestMessage-1-shownEnd]) + "…" + string(runes[end:])
}
