// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // registers SHA-1 for RS1
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// signature is one way to sign a message.
type signature struct {
	hash  crypto.Hash // of the message; 0: it is signed as it is
	kind  signatureKind
	curve elliptic.Curve // of an ECDSA key
}

type signatureKind int

const (
	pkcs1   signatureKind = iota // RSASSA-PKCS1-v1_5, RFC 8017 section 8.2
	pss                          // RSASSA-PSS with a salt as long as the hash, RFC 7518 section 3.5
	joined                       // ECDSA, the two numbers one after the other, RFC 7518 section 3.4
	der                          // ECDSA, the two numbers in ASN.1, RFC 3279 section 2.2.3, as OpenSSL has them
	edwards                      // Ed25519, RFC 8032
)

// signatures by name: those of RFC 7518 and RFC 8037, RS1 since providers ask for it
// (OAuth 1.0's RSA-SHA1), and ECDSA in ASN.1.
var signatures = map[string]signature{
	"RS1":   {crypto.SHA1, pkcs1, nil},
	"RS256": {crypto.SHA256, pkcs1, nil}, "RS384": {crypto.SHA384, pkcs1, nil}, "RS512": {crypto.SHA512, pkcs1, nil},
	"PS256": {crypto.SHA256, pss, nil}, "PS384": {crypto.SHA384, pss, nil}, "PS512": {crypto.SHA512, pss, nil},
	"ES256": {crypto.SHA256, joined, elliptic.P256()}, "ES384": {crypto.SHA384, joined, elliptic.P384()}, "ES512": {crypto.SHA512, joined, elliptic.P521()},
	"ES256-DER": {crypto.SHA256, der, elliptic.P256()}, "ES384-DER": {crypto.SHA384, der, elliptic.P384()}, "ES512-DER": {crypto.SHA512, der, elliptic.P521()},
	"EdDSA": {0, edwards, nil},
}

// Sign gives a bare signature over a message, under a private key in PEM. Its errors hold no
// value.
func Sign(algorithm, key string, message []byte) ([]byte, error) {
	way, known := signatures[algorithm]
	if !known {
		return nil, Error("the algorithm of sign must be RS1, one of RS, PS, ES with 256, 384 or 512, ES256-DER, ES384-DER, ES512-DER, or EdDSA (for a shared secret use hmac.sha256)")
	}
	private, err := Private(key)
	if err != nil {
		return nil, err
	}
	signed, err := way.sign(private, message)
	if err != nil {
		return nil, Error("a message cannot be signed: the key does not suit its algorithm")
	}
	return signed, nil
}

// errUnsuited says that a key is not of the kind that an algorithm takes.
const errUnsuited = Error("the key does not suit its algorithm")

func (s signature) sign(key crypto.PrivateKey, message []byte) ([]byte, error) {
	if s.hash != 0 {
		digest := s.hash.New()
		digest.Write(message)
		message = digest.Sum(nil)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if s.kind == pkcs1 {
			return rsa.SignPKCS1v15(rand.Reader, key, s.hash, message)
		}
		if s.kind == pss {
			return rsa.SignPSS(rand.Reader, key, s.hash, message, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	case *ecdsa.PrivateKey:
		if s.curve == key.Curve {
			return s.signECDSA(key, message)
		}
	case ed25519.PrivateKey:
		if s.kind == edwards {
			return ed25519.Sign(key, message), nil
		}
	}
	return nil, errUnsuited
}

func (s signature) signECDSA(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	if s.kind == der {
		return ecdsa.SignASN1(rand.Reader, key, digest)
	}
	first, second, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	return append(first.FillBytes(make([]byte, size)), second.FillBytes(make([]byte, size))...), nil
}
