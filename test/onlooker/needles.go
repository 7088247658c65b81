// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package onlooker

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"html"
	"net/url"
	"strings"
)

const (
	// shortestNeedle is what is looked for at least, in bytes. A shorter secret is in
	// too many texts by chance; its digests are looked for all the same.
	shortestNeedle = 8
	// shortestBase64 is how much of a digest in base64 tells it from any other word.
	shortestBase64 = 10
	// partOfSecret is how much of a long random secret is as good as the whole.
	partOfSecret = 12
	// longSecret has so many characters that a part of it is looked for as well; one
	// that has longestSecret is looked for as a whole, and where it begins and ends.
	longSecret, longestSecret = 32, 4 << 10
)

// needle is a text to look for.
type needle struct {
	text, where, form string
	// digest: the start of it does, if nothing else of its kind comes after.
	digest bool
}

// prefix of a needle, by which it is found.
type prefix [shortestNeedle]byte

type needles map[prefix][]needle

func (n needles) add(text, where, form string, digest bool) {
	if len(text) < shortestNeedle {
		return
	}
	key := prefix([]byte(text[:shortestNeedle]))
	n[key] = append(n[key], needle{text, where, form, digest})
}

// needles of all secrets.
func (o *Onlooker) needles() needles {
	n := needles{}
	for secret, where := range o.secrets {
		n.addRaw(secret, where)
		n.addDigests(secret, where, o.public)
	}
	for text, where := range o.wholes {
		n.addDigests(text, where, o.public)
	}
	return n
}

func (n needles) addDigests(text, where string, public []string) {
	for form, sum := range sums(text, public) {
		encoded := hex.EncodeToString(sum)
		n.add(encoded, where, form+" in hexadecimal", true)
		n.add(strings.ToUpper(encoded), where, form+" in hexadecimal", true)
		n.add(base64.StdEncoding.EncodeToString(sum)[:shortestBase64], where, form+" in base64", false)
		n.add(base64.URLEncoding.EncodeToString(sum)[:shortestBase64], where, form+" in base64", false)
	}
}

// addRaw adds what a secret looks like, whole or, if it is long, in part.
func (n needles) addRaw(secret, where string) {
	if len(secret) < shortestNeedle {
		return
	}
	parts := []string{secret}
	switch {
	case len(secret) > longestSecret:
		parts = []string{secret[:longSecret], secret[len(secret)-longSecret:]}
	case len(secret) >= longSecret && !strings.ContainsRune(secret, ' '):
		for at := range len(secret) - partOfSecret + 1 {
			parts = append(parts, secret[at:at+partOfSecret])
		}
	}
	for _, part := range parts {
		n.add(part, where, "raw", false)
	}
	n.add(hex.EncodeToString([]byte(secret)), where, "in hexadecimal", true)
	n.add(strings.ToUpper(hex.EncodeToString([]byte(secret))), where, "in hexadecimal", true)
	for form, escaped := range map[string]string{
		"escaped for a query": url.QueryEscape(secret), "escaped for a path": url.PathEscape(secret), "escaped for HTML": html.EscapeString(secret),
		"in decimal references": references("&#%d;", secret), "in hexadecimal references": references("&#x%x;", secret),
		"in JSON units": references(`\u%04x`, secret), "in percents": references("%%%02X", secret),
	} {
		if escaped != secret {
			n.add(escaped, where, form, false)
		}
	}
	for skipped := range 3 { // a secret may begin anywhere in a group of three bytes
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("_", skipped) + secret))
			if from, to := (skipped*8+5)/6, len(encoded)-2; from < to {
				n.add(encoded[from:to], where, "in base64", false)
			}
		}
	}
}

func references(format, text string) string {
	var all strings.Builder
	for _, r := range text {
		fmt.Fprintf(&all, format, r)
	}
	return all.String()
}

// sums are the digests of a secret that anybody can make who guesses it, those of
// digests among them.
func sums(secret string, public []string) map[string][]byte {
	all := map[string][]byte{}
	for name, algorithm := range map[string]func() hash.Hash{"SHA-256": sha256.New, "SHA-1": sha1.New, "MD5": md5.New, "SHA-512": sha512.New} {
		all[name] = sum(algorithm(), secret)
	}
	for _, key := range public {
		all["HMAC under "+key] = sum(hmac.New(sha256.New, []byte(key)), secret)
	}
	for _, size := range []int{8, 16, sha256.Size} {
		short := hex.EncodeToString(all["SHA-256"][:size])
		all[fmt.Sprintf("SHA-256 of %d bytes of SHA-256", size)] = sum(sha256.New(), short)
		for _, key := range public {
			all[fmt.Sprintf("HMAC of %d bytes of SHA-256 under %s", size, key)] = sum(hmac.New(sha256.New, []byte(key)), short)
		}
	}
	return all
}

func sum(h hash.Hash, text string) []byte {
	h.Write([]byte(text))
	return h.Sum(nil)
}

// find calls each with every needle that a text holds.
func (n needles) find(text string, each func(needle, int)) {
	for at := range len(text) - shortestNeedle + 1 {
		for _, candidate := range n[prefix([]byte(text[at:at+shortestNeedle]))] {
			if candidate.in(text, at) {
				each(candidate, at)
			}
		}
	}
}

// in reports whether a needle is at a place of a text. Of a digest half is enough, or
// less if it stands alone: cut to some length, as it were.
func (n needle) in(text string, at int) bool {
	rest := text[at:]
	if !n.digest {
		return strings.HasPrefix(rest, n.text)
	}
	same := 0
	for same < len(rest) && same < len(n.text) && rest[same] == n.text[same] {
		same++
	}
	alone := (at == 0 || !isHex(text[at-1])) && (same == len(rest) || !isHex(rest[same]))
	return same >= 16 || alone && !isFraction(text[:at], rest[:same], rest[same:])
}

// isFraction tells what is behind a number's point, and is like the start of a digest by
// chance: there are many numbers in metrics, such as 1.7958434e+09.
func isFraction(before, digits, after string) bool {
	if strings.HasPrefix(after, "+") || strings.HasPrefix(after, "-") {
		digits = strings.TrimSuffix(digits, "e")
	}
	whole, pointed := strings.CutSuffix(before, ".")
	return pointed && whole != "" && isDecimal(whole[len(whole)-1:]) && isDecimal(digits)
}

func isDecimal(text string) bool { return strings.Trim(text, "0123456789") == "" }

func isHex(b byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", b) >= 0 }
