// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

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

func TestKeysAreFoundInWhatPeopleKeep(t *testing.T) {
	t.Parallel()
	key := ecdsaKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	const certificate = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n"
	ec := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	whole := inPEM(t, key)
	for name, c := range map[string]struct{ reason, key, want string }{
		"parameters before the key":     {"openssl ecparam -genkey writes both", parameters + ec, ""},
		"a certificate before the key":  {"one file for both", certificate + whole, ""},
		"a certificate behind the key":  {"one file for both", whole + certificate, ""},
		"escaped line feeds":            {"from a JSON file", strings.ReplaceAll(whole, "\n", `\n`), ""},
		"escaped CR and line feeds":     {"from a JSON file of another system", strings.ReplaceAll(whole, "\n", `\r\n`), ""},
		"blanks in place of line feeds": {"a YAML scalar folds them", strings.ReplaceAll(strings.TrimSpace(whole), "\n", " "), ""},
		"no line feeds at all":          {"a form's field drops them", strings.ReplaceAll(whole, "\n", ""), ""},
		"CR and line feeds":             {"from another system", strings.ReplaceAll(whole, "\n", "\r\n"), ""},
		"indented lines":                {"from a configuration file", strings.ReplaceAll(whole, "\n", "\n    "), ""},
		"a mark before it":              {"some editors write one", "\ufeff" + whole, ""},
		"a certificate alone":           {"the other file was taken", certificate, "and there is a CERTIFICATE alone"},
		"parameters alone":              {"the other half", parameters, "and there is a EC PARAMETERS alone"},
		"no PEM":                        {"nothing of it is quoted", "canary", "with its line -----BEGIN PRIVATE KEY-----"},
		"an encrypted key":              {"nobody types a password", strings.ReplaceAll(whole, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "the key is encrypted"},
		"an encrypted key of old":       {"RFC 1421", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nY2FuYXJ5\n-----END EC PRIVATE KEY-----\n", "the key is encrypted"},
		"a key of OpenSSH":              {"another format", strings.ReplaceAll(whole, "PRIVATE KEY", "OPENSSH PRIVATE KEY"), "convert it with ssh-keygen"},
		"a key cut short":               {"it is said to be one all the same", "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n", "it cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", `${sign("ES256", body, "x")}`)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = template.Text(map[string]any{"body": c.key})
			switch {
			case (err == nil) != (c.want == ""), err != nil && !strings.Contains(err.Error(), c.want):
				t.Errorf("got %v, want %q\nreason: %s", err, c.want, c.reason)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("the error quotes the key: %v", err)
			}
		})
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
