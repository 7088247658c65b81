// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sealed keeps what must outlive a process in files that nobody can read without
// the token that was sent for it. It knows names and bytes: what they are of is known to
// who seals and opens them (rotation/spool, courier).
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Key is made from the refresh token that was sent, which is in the state Secret: what is
// sealed with it is of no use without that. The ID is that of the attempt, and the purpose
// tells apart who seals.
func Key(sent secret.Text, id, purpose string) (secret.Text, error) {
	key, err := hkdf.Key(sha256.New, []byte(sent.Reveal()), []byte(id), purpose, 32)
	if err != nil {
		return secret.Text{}, fmt.Errorf("no key for sealed files can be made: %w", err)
	}
	return secret.New(string(key)), nil
}

// Seal encrypts with a key.
func Seal(key secret.Text, plain []byte) ([]byte, error) {
	gcm, err := cipherOf(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never errs, by its documentation
	return gcm.Seal(nonce, nonce, plain, nil), nil
}

// Open decrypts what was sealed with the same key, and nothing else.
func Open(key secret.Text, content []byte) ([]byte, bool) {
	gcm, err := cipherOf(key)
	if err != nil || len(content) < gcm.NonceSize() {
		return nil, false
	}
	plain, err := gcm.Open(nil, content[:gcm.NonceSize()], content[gcm.NonceSize():], nil)
	return plain, err == nil
}

func cipherOf(key secret.Text) (cipher.AEAD, error) {
	block, err := aes.NewCipher([]byte(key.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("no cipher for sealed files can be made: %w", err)
	}
	return cipher.NewGCM(block)
}
