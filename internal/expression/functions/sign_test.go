// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package functions_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const message = "what is signed"

// inPEM writes a private key as PKCS #8.
func inPEM(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecdsaKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed evaluates sign over the message, as text and as bytes.
func signed(t *testing.T, algorithm, key string) []byte {
	t.Helper()
	for _, argument := range []string{"body", "bytes(body)"} {
		template, err := environment(t).Template("field", "${sign(app.key, app.secret, "+argument+")}")
		if err != nil {
			t.Fatal(err)
		}
		value, _, err := template.Value(map[string]any{"app": map[string]string{"key": algorithm, "secret": key}, "body": message})
		if err != nil {
			t.Fatalf("%s over %s: %v", algorithm, argument, err)
		}
		if argument != "body" {
			return value.([]byte)
		}
	}
	return nil
}

func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	sha1Sum, sha256Sum, sha384Sum, sha512Sum := sha1.Sum([]byte(message)), sha256.Sum256([]byte(message)), sha512.Sum384([]byte(message)), sha512.Sum512([]byte(message))
	pair := rsaKey(t)
	for algorithm, c := range map[string]struct {
		hash   crypto.Hash
		digest []byte
	}{
		"RS1": {crypto.SHA1, sha1Sum[:]}, "RS256": {crypto.SHA256, sha256Sum[:]}, "RS384": {crypto.SHA384, sha384Sum[:]}, "RS512": {crypto.SHA512, sha512Sum[:]},
	} {
		if err := rsa.VerifyPKCS1v15(&pair.PublicKey, c.hash, c.digest, signed(t, algorithm, inPEM(t, pair))); err != nil {
			t.Errorf("%s (RFC 8017 section 8.2.2): %v", algorithm, err)
		}
	}
	for algorithm, c := range map[string]struct {
		hash   crypto.Hash
		digest []byte
	}{
		"PS256": {crypto.SHA256, sha256Sum[:]}, "PS384": {crypto.SHA384, sha384Sum[:]}, "PS512": {crypto.SHA512, sha512Sum[:]},
	} {
		options := &rsa.PSSOptions{SaltLength: c.hash.Size()} // RFC 7518 section 3.5
		if err := rsa.VerifyPSS(&pair.PublicKey, c.hash, c.digest, signed(t, algorithm, inPEM(t, pair)), options); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	for algorithm, c := range map[string]struct {
		curve  elliptic.Curve
		digest []byte
		size   int // of each of the two numbers, RFC 7518 section 3.4
	}{
		"ES256": {elliptic.P256(), sha256Sum[:], 32}, "ES384": {elliptic.P384(), sha384Sum[:], 48}, "ES512": {elliptic.P521(), sha512Sum[:], 66},
	} {
		key := ecdsaKey(t, c.curve)
		joined := signed(t, algorithm, inPEM(t, key))
		if len(joined) != 2*c.size || !ecdsa.Verify(&key.PublicKey, c.digest, new(big.Int).SetBytes(joined[:c.size]), new(big.Int).SetBytes(joined[c.size:])) {
			t.Errorf("%s: %d bytes that do not verify as r and s", algorithm, len(joined))
		}
		if !ecdsa.VerifyASN1(&key.PublicKey, c.digest, signed(t, algorithm+"-DER", inPEM(t, key))) {
			t.Errorf("%s-DER does not verify as ASN.1", algorithm)
		}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(public, []byte(message), signed(t, "EdDSA", inPEM(t, private))) {
		t.Error("EdDSA does not verify")
	}
}

func TestWhatCannotBeSignedIsSaid(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an expression that fails on a secret")
	p256, pair := inPEM(t, ecdsaKey(t, elliptic.P256())), inPEM(t, rsaKey(t))
	for name, c := range map[string]struct{ algorithm, key, want string }{
		"no such algorithm":         {"RS257", pair, "the algorithm of sign must be RS1, one of RS"},
		"a shared secret":           {"HS256", "secret", "for a shared secret use hmac.sha256"},
		"an RSA key for ECDSA":      {"ES256", pair, "the key does not suit its algorithm"},
		"an ECDSA key for RSA":      {"RS256", p256, "the key does not suit its algorithm"},
		"a curve of another length": {"ES384", p256, "the key does not suit its algorithm"},
		"an ECDSA key for Ed25519":  {"EdDSA", p256, "the key does not suit its algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", "${sign(app.key, app.secret, 'x')}")
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = template.Text(map[string]any{"app": map[string]string{"key": c.algorithm, "secret": c.key}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
