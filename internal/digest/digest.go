// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package digest names secrets where people look who may not read them: in a
// status, a label, an annotation. A plain hash there would tell whoever reads it
// whether a guess is right, and a short secret is found by guessing. So a digest is
// keyed (HMAC-SHA-256, RFC 2104) with random bytes that stand in a Secret of the
// operator's own namespace, and whoever lacks those can check nothing.
//
// A digest is made from the plain digest of a secret, never from the secret itself:
// what an earlier version left in plain can be keyed without reading any secret.
package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// keySize is how many random bytes a key has: as many as SHA-256 gives.
	keySize = 32
	// nameSize is how many bytes name a key: enough that two keys of one cluster, of
	// which there are hardly ever more, do not share a name.
	nameSize = 4
	// digestSize is how many bytes of the HMAC a digest has. Nobody can look for
	// collisions without the key; 16 bytes rule out those by chance.
	digestSize = 16
)

// Key makes digests. Its zero value makes none. It prints as its name.
type Key struct {
	name   string
	secret *[keySize]byte // behind a pointer, so that fmt finds an address
}

// New makes a key from random bytes.
func New(random []byte) (Key, error) {
	if len(random) != keySize {
		return Key{}, fmt.Errorf("a digest key has %d bytes, and this one has %d", keySize, len(random))
	}
	k := Key{secret: (*[keySize]byte)(append([]byte(nil), random...))}
	k.name = hex.EncodeToString(k.sum("name", "")[:nameSize])
	return k, nil
}

// Random makes a key for a process that shares its digests with no other, such as a test.
func Random() Key {
	random := make([]byte, keySize)
	_, _ = rand.Read(random) // it never fails
	key, _ := New(random)
	return key
}

// Name distinguishes the key from others and tells nothing of it: 8 characters that
// may stand in a label.
func (k Key) Name() string { return k.name }

// String implements fmt.Stringer.
func (k Key) String() string { return "digest key " + k.name }

// Of keys a plain digest: "<name of the key>.<32 hexadecimal digits>", and nothing for
// an empty one. The scope says where the digest stands and whose it is: one secret has
// another digest in each scope, so that nobody sees that two of them are the same.
func (k Key) Of(scope, plain string) string {
	if plain == "" {
		return ""
	}
	return k.name + "." + hex.EncodeToString(k.sum(scope, plain)[:digestSize])
}

// sum is the HMAC of a scope and a plain digest; a scope holds no NUL.
func (k Key) sum(scope, plain string) []byte {
	if k.secret == nil {
		panic("digest: a key that was not made by New") // a digest without a key would tell all
	}
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write([]byte(scope + "\x00" + plain))
	return mac.Sum(nil)
}

// Is reports whether a digest is that of a plain one: keyed, or still in plain.
func (k Key) Is(digest, scope, plain string) bool {
	return digest != "" && (digest == plain || digest == k.Of(scope, plain))
}

// Made reports whether a digest was made with this key.
func (k Key) Made(digest string) bool {
	name, _, keyed := strings.Cut(digest, ".")
	return keyed && name == k.name
}

// IsPlain reports whether a digest has no key: an earlier version wrote it, and whoever
// reads it can check guesses.
func IsPlain(digest string) bool { return digest != "" && !strings.Contains(digest, ".") }

// Keyed keys a digest that is in plain, and returns any other as it is.
func (k Key) Keyed(scope, digest string) string {
	if IsPlain(digest) {
		return k.Of(scope, digest)
	}
	return digest
}
