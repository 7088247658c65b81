// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secret holds the type of every secret in memory. A Text prints as
// [redacted] whichever way it is printed, so a secret can reach a log, an
// event, a status or an error only through a call of Reveal, which is easy to
// find.
//
// It guards against accidents, not against a debugger: the value is in memory
// in clear.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
)

// Redacted is what a Text prints as.
const Redacted = "[redacted]"

// Text is a secret string. Its zero value is the empty string.
//
// The value sits behind a pointer so that fmt, which prints the unexported
// fields of an enclosing struct without asking their methods, finds an address
// and no secret.
type Text struct{ value *string }

// New wraps a secret.
func New(value string) Text { return Text{value: &value} }

// Reveal returns the secret. Call it where the value leaves for the provider or
// for a Secret, and nowhere else.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero tells whether the secret is the empty string.
func (t Text) IsZero() bool { return t.Reveal() == "" }

// Equal compares two secrets in constant time for secrets of one length.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// Digest names a secret without telling it: the first 16 bytes of its SHA-256
// in hex, and nothing for the empty secret. Whoever sees it can check guesses at the
// secret, so it stays in memory and in the data of Secrets; elsewhere it is keyed.
func (t Text) Digest() string {
	if t.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(t.Reveal()))
	return hex.EncodeToString(sum[:16])
}

// Format implements fmt.Formatter, which covers every verb.
func (Text) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, Redacted) }

// String implements fmt.Stringer for callers that do not go through fmt.
func (Text) String() string { return Redacted }

// MarshalText implements encoding.TextMarshaler, and so covers JSON and YAML.
func (Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
