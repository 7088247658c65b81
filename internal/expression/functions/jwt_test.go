// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package functions_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// environment is one of a provider's requests: the functions are tested as they are called.
func environment(t *testing.T) *expression.Environment {
	t.Helper()
	environment, err := expression.NewSigningEnvironment(
		expression.TextMap("app", []string{"key", "secret"}),
		expression.AnyMap("outputs", []string{"region"}),
		expression.Any("body"),
		expression.UUID(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return environment
}

func variables() map[string]any {
	return map[string]any{
		"app":              map[string]string{"key": "the-key", "secret": "the-secret"},
		"outputs":          map[string]any{"region": "eu"},
		expression.UUIDKey: "u-u-i-d",
	}
}

func TestJWTSign(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	cases := map[string]struct {
		algorithm jose.SignatureAlgorithm
		key       string
		verify    any
	}{
		"HS256 by a secret":             {jose.HS256, "0123456789abcdef0123456789abcdef", []byte("0123456789abcdef0123456789abcdef")},
		"HS256 by a short secret":       {jose.HS256, "short", nil},
		"RS256 by PKCS 1":               {jose.RS256, pkcs1, &rsaKey.PublicKey},
		"PS256 with escaped line feeds": {jose.PS256, strings.ReplaceAll(pkcs1, "\n", `\n`), &rsaKey.PublicKey},
		"ES256 by PKCS 8":               {jose.ES256, block("PRIVATE KEY", pkcs8), &ecKey.PublicKey},
		"ES256 by SEC 1":                {jose.ES256, block("EC PRIVATE KEY", sec1), &ecKey.PublicKey},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", `${jwt.sign(app.key, app.secret, {"iss": "me", "exp": 12345678901})}`)
			if err != nil {
				t.Fatal(err)
			}
			token, _, err := template.Text(map[string]any{"app": map[string]string{"key": string(c.algorithm), "secret": c.key}})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{c.algorithm})
			if err != nil {
				t.Fatal(err)
			}
			if c.verify == nil {
				return // go-jose does not verify by a short secret either
			}
			claims, err := signed.Verify(c.verify)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(`{"exp":12345678901,"iss":"me"}`, string(claims)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}
