// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"

	"github.com/go-jose/go-jose/v4"
)

// errNoPublicKey says that a key has no JWK.
const errNoPublicKey = Error("the key is of a kind that has no JWK: use RSA, ECDSA or Ed25519")

// Public gives the public side of a private key in PEM (RFC 7517). Nothing private is in it.
func Public(text string) (*jose.JSONWebKey, error) {
	key, err := Private(text)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errNoPublicKey
	}
	return &jose.JSONWebKey{Key: signer.Public()}, nil
}
