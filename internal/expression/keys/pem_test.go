// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestAPrivateKeyIsReadHoweverItWasKept(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a private key that was copied carelessly")
	curve, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	modulus, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	sec1, _ := x509.MarshalECPrivateKey(curve)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(modulus)
	pkcs8Edwards, _ := x509.MarshalPKCS8PrivateKey(edwards)
	public, _ := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	parameters := pemBlock("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	key := pemBlock("PRIVATE KEY", pkcs8)
	for name, text := range map[string]string{
		"PKCS #8":                   key,
		"PKCS #8, Ed25519":          pemBlock("PRIVATE KEY", pkcs8Edwards),
		"PKCS #1":                   pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(modulus)),
		"SEC 1":                     pemBlock("EC PRIVATE KEY", sec1),
		"openssl ecparam -genkey":   parameters + pemBlock("EC PRIVATE KEY", sec1),
		"a public key before it":    pemBlock("PUBLIC KEY", public) + key,
		"a certificate before it":   pemBlock("CERTIFICATE", []byte{0x30, 0}) + key,
		"a certificate behind it":   key + pemBlock("CERTIFICATE", []byte{0x30, 0}),
		"words before it":           "Bag Attributes\n    friendlyName: x\n" + key,
		"CRLF":                      strings.ReplaceAll(key, "\n", "\r\n"),
		"CR":                        strings.ReplaceAll(key, "\n", "\r"),
		"escaped line feeds":        strings.ReplaceAll(key, "\n", `\n`),
		"line feeds escaped twice":  strings.ReplaceAll(key, "\n", `\\n`),
		"escaped CRLF":              strings.ReplaceAll(key, "\n", `\r\n`),
		"blanks for line feeds":     strings.ReplaceAll(key, "\n", " "),
		"no line feeds":             strings.ReplaceAll(key, "\n", ""),
		"lines that are indented":   strings.ReplaceAll(key, "\n", "\n    "),
		"empty lines":               strings.ReplaceAll(key, "\n", "\n\n"),
		"quotes":                    `"` + strings.ReplaceAll(key, "\n", `\n`) + `"`,
		"a byte order mark":         "\ufeff" + key,
		"no line feed at the end":   strings.TrimSpace(key),
		"parameters, on one line":   strings.ReplaceAll(parameters+pemBlock("EC PRIVATE KEY", sec1), "\n", " "),
		"base64 of the whole":       base64.StdEncoding.EncodeToString([]byte(key)) + "\n",
		"base64 of it, in lines":    strings.Join(strings.SplitAfter(base64.StdEncoding.EncodeToString([]byte(key)), "T"), "\n"),
		"no BEGIN and no END":       base64.StdEncoding.EncodeToString(pkcs8),
		"no BEGIN, in lines":        strings.TrimPrefix(strings.ReplaceAll(strings.ReplaceAll(key, "-----BEGIN PRIVATE KEY-----", ""), "-----END PRIVATE KEY-----", ""), "\n"),
		"a label of the other kind": pemBlock("RSA PRIVATE KEY", pkcs8),
	} {
		if got, err := Private(text); err != nil || got == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatStandsInPlaceOfAPrivateKeyIsNamed(t *testing.T) {
	t.Parallel()
	encrypted := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	for text, want := range map[string]string{
		"":                                       "is empty",
		"canary":                                 "has no -----BEGIN line",
		`{"kty":"EC","d":"canary"}`:              "is JSON",
		"Y2FuYXJ5Y2FuYXJ5":                       "has no -----BEGIN line",
		pemBlock("PUBLIC KEY", []byte("canary")): "holds a public key",
		pemBlock("CERTIFICATE", []byte("canary")):           "holds a certificate",
		pemBlock("CERTIFICATE REQUEST", []byte("canary")):   "holds a certificate request",
		pemBlock("EC PARAMETERS", []byte("canary")):         "holds the parameters of a key",
		pemBlock("ENCRYPTED PRIVATE KEY", []byte("canary")): "holds an encrypted private key",
		encrypted:                                "holds an encrypted private key",
		strings.ReplaceAll(encrypted, "\n", " "): "holds an encrypted private key",
		pemBlock("OPENSSH PRIVATE KEY", []byte("canary")):                                    "holds a private key of OpenSSH",
		pemBlock("PRIVATE KEY", []byte("canary")):                                            "holds a private key that is damaged",
		pemBlock("CANARY", []byte("canary")):                                                 "holds a block of another kind",
		pemBlock("CERTIFICATE", []byte("canary")) + pemBlock("PUBLIC KEY", []byte("canary")): "holds a certificate and a public key",
		"-----BEGIN PRIVATE KEY-----\ncanary":                                                "its block is damaged or not whole",
	} {
		_, err := Private(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(strings.ToLower(err.Error()), "canary") {
			t.Errorf("%.40q: %v, want %q in it", text, err, want)
		}
	}
}
