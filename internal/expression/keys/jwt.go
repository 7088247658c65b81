// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/go-jose/go-jose/v4"
)

// ForJWT gives the key that go-jose signs with: the secret itself for HS algorithms, and a
// private key in PEM for the others.
func ForJWT(algorithm jose.SignatureAlgorithm, text string) (any, error) {
	switch algorithm {
	case jose.HS256, jose.HS384, jose.HS512:
		if text == "" {
			return nil, Error("the key of a JWT is empty")
		}
		return secretSigner(text), nil
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA:
		return Private(text)
	}
	return nil, Error("the algorithm of a JWT must be one of HS, RS, PS, ES with 256, 384 or 512, or EdDSA")
}

// secretSigner signs with a secret of any length. go-jose refuses one shorter
// than its hash, as RFC 7518 section 3.2 asks; the length of a client secret is
// its provider's choice.
type secretSigner string

// Public implements jose.OpaqueSigner: a secret has no public side.
func (secretSigner) Public() *jose.JSONWebKey { return nil }

// Algs implements jose.OpaqueSigner.
func (secretSigner) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
}

// SignPayload implements jose.OpaqueSigner.
func (s secretSigner) SignPayload(payload []byte, algorithm jose.SignatureAlgorithm) ([]byte, error) {
	hashes := map[jose.SignatureAlgorithm]func() hash.Hash{jose.HS256: sha256.New, jose.HS384: sha512.New384, jose.HS512: sha512.New}
	signature := hmac.New(hashes[algorithm], []byte(s))
	signature.Write(payload)
	return signature.Sum(nil), nil
}
