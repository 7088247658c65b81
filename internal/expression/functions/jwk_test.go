// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package functions_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// ed25519Key is that of RFC 8037 appendix A.1, whose public side and thumbprint are in
// appendices A.2 and A.3.
const ed25519Key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"

func TestThePublicSideOfAKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, source string
		want           any
	}{
		"a JWK":           {"RFC 8037 appendix A.2", "${jwk.public(app.secret)}", map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},
		"its thumbprint":  {"RFC 8037 appendix A.3", "${base64url.encode(jwk.thumbprint(app.secret))}", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"a field of it":   {"it is a map like any other", "${jwk.public(app.secret).kty}", "OKP"},
		"nothing private": {"it goes into a header", `${has(jwk.public(app.secret).d)}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", c.source)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := template.Value(map[string]any{"app": map[string]string{"secret": ed25519Key}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestAProofOfPossession makes the proof of RFC 9449 section 4.2, and checks it as a
// server does: by the key in its own header.
func TestAProofOfPossession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		algorithm jose.SignatureAlgorithm
		key       string
	}{
		"ECDSA": {jose.ES256, inPEM(t, ecdsaKey(t, elliptic.P256()))}, "RSA": {jose.PS256, inPEM(t, rsaKey(t))}, "Ed25519": {jose.EdDSA, ed25519Key},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field",
				`${jwt.sign(app.key, app.secret, {"jti": uuid(), "htm": "POST", ?"nonce": outputs.?region}, {"typ": "dpop+jwt", "jwk": jwk.public(app.secret)})}`)
			if err != nil {
				t.Fatal(err)
			}
			values := variables()
			values["app"] = map[string]string{"key": string(c.algorithm), "secret": c.key}
			values[expression.BudgetKey] = expression.NewBudget()
			proof, _, err := template.Text(values)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{c.algorithm})
			if err != nil {
				t.Fatal(err)
			}
			header := parsed.Signatures[0].Protected
			if header.JSONWebKey == nil || !header.JSONWebKey.IsPublic() || header.ExtraHeaders[jose.HeaderType] != "dpop+jwt" {
				t.Fatalf("the header has no public key or another type: %+v", header)
			}
			claims, err := parsed.Verify(header.JSONWebKey)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(`{"htm":"POST","jti":"u-u-i-d","nonce":"eu"}`, string(claims)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFurtherMembersOfAJWTsHeader(t *testing.T) {
	t.Parallel()
	template, err := environment(t).Template("field", `${jwt.sign("HS256", app.secret, {"iss": "me"}, {"x5t#S256": "dGh1bWI", "kid": "k1", "x5c": ["Y2VydA=="]})}`)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := template.Text(variables())
	if err != nil {
		t.Fatal(err)
	}
	encoded, _, _ := strings.Cut(token, ".")
	header, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"alg":"HS256","kid":"k1","typ":"JWT","x5c":["Y2VydA=="],"x5t#S256":"dGh1bWI"}`, string(header)); diff != "" {
		t.Errorf("certificate assertions name their certificate (-want +got):\n%s", diff)
	}
}

func TestTheThumbprintOfACertificate(t *testing.T) {
	t.Parallel()
	key := ecdsaKey(t, elliptic.P256())
	certificate := func(serial int64) []byte {
		template := &x509.Certificate{SerialNumber: big.NewInt(serial)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	first, second := certificate(1), certificate(2)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	sum1, sum256 := sha1.Sum(first), sha256.Sum256(first)
	chain := block("CERTIFICATE", first) + block("CERTIFICATE", second)
	for name, c := range map[string]struct{ reason, certificate, hash, want, problem string }{
		"SHA-256 of a chain":        {"the first is the client's own", chain, "sha256", hex.EncodeToString(sum256[:]), ""},
		"SHA-1":                     {"x5t of old", chain, "sha1", hex.EncodeToString(sum1[:]), ""},
		"a key before it":           {"one file for both", inPEM(t, key) + chain, "sha256", hex.EncodeToString(sum256[:]), ""},
		"a certificate on one line": {"a form's field drops line feeds", strings.ReplaceAll(block("CERTIFICATE", first), "\n", " "), "sha256", hex.EncodeToString(sum256[:]), ""},
		"another hash":              {"those that there are, are named", chain, "sha3", "", `must be "sha1", "sha256" or "sha512"`},
		"no certificate":            {"nothing is quoted", "canary", "sha256", "", "with its line -----BEGIN CERTIFICATE-----"},
		"damaged":                   {"its hash would be of nothing", block("CERTIFICATE", first[:50]), "sha256", "", "the certificate cannot be read"},
		"far too large":             {"it is not even decoded", strings.Repeat("x", 64<<10+1), "sha256", "", "the certificate has 65537 bytes, of at most 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", "${hex.encode(x509.thumbprint(app.key, app.secret))}")
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := template.Text(map[string]any{"app": map[string]string{"key": c.certificate, "secret": c.hash}})
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) || got != c.want {
				t.Errorf("got %q and %v, want %q and %q\nreason: %s", got, err, c.want, c.problem, c.reason)
			}
		})
	}
}

func TestKeysAreForRequestsAlone(t *testing.T) {
	t.Parallel()
	replies, err := expression.NewEnvironment(expression.Any("body"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{`jwt.sign("HS256", body, {"a": 1})`, `sign("RS256", body, "x")`, "jwk.public(body)", "jwk.thumbprint(body)"} {
		if _, err := replies.Expression("field", source); err == nil || !strings.Contains(err.Error(), "undeclared reference") {
			t.Errorf("%s: %v; a signature takes milliseconds, which a reply must not spend", source, err)
		}
	}
	if _, err := replies.Expression("field", `x509.thumbprint(body, "sha256")`); err != nil {
		t.Errorf("a hash is cheap: %v", err)
	}
}

func TestSignaturesAreCounted(t *testing.T) {
	t.Parallel()
	key := inPEM(t, rsaKey(t))
	for source, want := range map[string]string{
		`${sign("RS256", body, "a") == sign("RS256", body, "b")}`:                                                               "",
		`${sign("RS256", body, "a") + sign("RS256", body, "b") + sign("RS256", body, "c") == b""}`:                              "it costs too much",
		`${size([jwk.public(body), jwk.public(body), jwk.public(body), jwk.public(body), jwk.public(body), jwk.public(body)])}`: "it costs too much",
	} {
		template, err := environment(t).Template("field", source)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = template.Text(map[string]any{"body": key})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", source, err, want)
		}
	}
}
