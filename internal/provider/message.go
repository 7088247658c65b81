// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const (
	// longestMessage is how much of a provider's message is shown, in runes.
	longestMessage = 200
	// consideredMessage is how much of it is looked at, in bytes: each word of it is
	// compared with each secret.
	consideredMessage = 1 << 10
	// shortestSecret is how long a secret must be to be found inside other text; a
	// shorter one is found where it stands alone.
	shortestSecret = 4
	// shortestPart is how long a piece of a secret must be to be found: shorter
	// ones tell nothing, and are the words that messages are made of.
	shortestPart = 8
)

// sanitize makes a provider's message safe to show: one line of printable text
// without anything that is, holds, or is a part of a secret of the exchange, or
// that looks like a token.
func sanitize(text string, secrets []string) string {
	text = printable(text)
	secrets = variants(secrets)
	for _, secret := range secrets {
		if strings.ContainsRune(secret, ' ') {
			text = strings.ReplaceAll(text, secret, redactedWord)
		}
	}
	for i := range secrets { // once for all words
		secrets[i] = strings.ToLower(secrets[i])
	}
	words := strings.Fields(text)
	for i, word := range words {
		if isSecret(word, secrets) {
			words[i] = redactedWord
		}
	}
	words = slices.CompactFunc(words, func(a, b string) bool { return a == redactedWord && b == redactedWord })
	return shorten(strings.Join(words, " "))
}

const redactedWord = secret.Redacted

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

// variants gives the secrets in the forms in which a provider may echo them,
// the longest first.
func variants(secrets []string) []string {
	var all []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		all = append(all, secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
		if spaced := strings.Join(strings.Fields(printable(secret)), " "); spaced != secret {
			all = append(all, spaced)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(all)
}

// isSecret tells whether a word must not be shown; the secrets are in lower case.
func isSecret(word string, secrets []string) bool {
	if word == redactedWord {
		return false
	}
	pieces := strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune(":=,;\"'`()[]{}<>|&?!…", r) })
	if slices.ContainsFunc(pieces, looksLikeToken) {
		return true
	}
	lower := strings.ToLower(word)
	for _, secret := range secrets {
		if len(secret) >= shortestSecret && strings.Contains(lower, secret) {
			return true
		}
		for _, piece := range append(pieces, word) {
			piece = strings.Trim(strings.ToLower(piece), ".*-")
			if piece == secret || len(piece) >= shortestPart && strings.Contains(secret, piece) {
				return true
			}
		}
	}
	return false
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

func shorten(text string) string {
	if runes := []rune(text); len(runes) > longestMessage {
		return string(runes[:longestMessage-1]) + "…"
	}
	return text
}
