// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"strings"
	"unicode"
)

const (
	// shortestSecret is how many bytes a secret must have to be found inside of other
	// text; a shorter one is found where it stands alone.
	shortestSecret = 4
	// shortestPart is how many bytes a part of a secret must have to be found: shorter
	// ones tell little, and are what words are made of.
	shortestPart = 8
)

// reveals reports whether a text tells a secret, or a part of one, in some spelling.
func reveals(text string, secrets []string) bool {
	texts, complete := spellings(text)
	if !complete {
		return true
	}
	for _, found := range holding(texts, secrets) {
		if found {
			return true
		}
	}
	return false
}

// part of a text, of the size that is looked for.
type part [shortestPart]byte

// holding reports which of the texts hold a secret or a part of one, whatever the case,
// the white space and the punctuation between its characters. It takes time in
// proportion to the sizes of the texts and of the secrets, not to their product: a
// token may have tens of kilobytes.
func holding(texts, secrets []string) []bool {
	found := make([]bool, len(texts))
	parts := map[part][]int{} // of the texts that have it
	var plain [][]string      // each text's simplified forms
	for i, text := range texts {
		forms := simplified(text)
		plain = append(plain, forms)
		for _, form := range forms {
			for at := range len(form) - shortestPart + 1 {
				key := part([]byte(form[at : at+shortestPart]))
				if holders := parts[key]; len(holders) == 0 || holders[len(holders)-1] != i {
					parts[key] = append(holders, i)
				}
			}
		}
	}
	for _, each := range secrets {
		for _, form := range simplified(each) {
			if len(form) >= shortestSecret && len(form) < shortestPart {
				for i := range plain {
					found[i] = found[i] || containedIn(form, plain[i])
				}
			}
			for at := range len(form) - shortestPart + 1 {
				for _, i := range parts[part([]byte(form[at:at+shortestPart]))] {
					found[i] = true
				}
			}
		}
	}
	return found
}

func containedIn(text string, forms []string) bool {
	for _, form := range forms {
		if strings.Contains(form, text) {
			return true
		}
	}
	return false
}

// simplified gives the forms of a text that are compared: in lower case, without what
// cannot be seen, and without punctuation.
func simplified(text string) []string {
	lower := strings.ToLower(text)
	visible, bare := withoutSpace(lower), bareOf(lower)
	if bare == visible {
		return []string{visible}
	}
	return []string{visible, bare}
}

// withoutSpace takes out white space and what cannot be seen.
func withoutSpace(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// bareOf keeps letters and digits.
func bareOf(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}
