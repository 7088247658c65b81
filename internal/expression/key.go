// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxPEM is the size of the largest private key in PEM, in bytes: an RSA key of
	// maxRSA takes less than half of it.
	maxPEM = 16 << 10

	// maxRSA is the length of the longest RSA key, in bits: twice what is in use. The
	// time that a signature takes grows with its cube; a "key" of 98,304 bits keeps a
	// processor busy for minutes.
	maxRSA = 8192
)

// privateKey reads the first private key of a PEM (PKCS #8, PKCS #1 or SEC 1), and checks
// it. What stands around it does not matter: openssl puts a curve's parameters before a
// key, and people keep a key and its certificate in one file.
func privateKey(text string) (crypto.PrivateKey, error) {
	if len(text) > maxPEM {
		return nil, safeError(fmt.Sprintf("the key has %d bytes, of at most %d", len(text), maxPEM))
	}
	var found []string
	for rest := mendedPEM(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, noKey(found)
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "": // RFC 1421 section 4.6.1.3
			return nil, safeError("the key is encrypted: write it unencrypted, as openssl pkey gives it")
		case block.Type == "OPENSSH PRIVATE KEY":
			return nil, safeError("the key is in OpenSSH's format: convert it with ssh-keygen -p -m PKCS8")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return parsedKey(block.Bytes)
		}
		found = append(found, block.Type)
	}
}

// noKey says that a text holds no private key, and which of the usual blocks it holds.
func noKey(found []string) error {
	for _, each := range []string{"CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "RSA PUBLIC KEY", "EC PARAMETERS"} {
		if slices.Contains(found, each) {
			return safeError("the key must be a private key in PEM, and there is a " + each + " alone")
		}
	}
	return safeError("the key must be a private key in PEM, with its line -----BEGIN PRIVATE KEY-----")
}

// onOneLine is a block of a PEM without the headers of an encrypted one, however its lines
// are broken.
var onOneLine = regexp.MustCompile(`-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END ([A-Z0-9 ]+)-----`)

// mendedPEM gives the lines of a PEM back that it lost on its way into a Secret: escaped
// line feeds, as in keys that come from a JSON file, or blanks in place of them.
func mendedPEM(text string) []byte {
	text = strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(text)
	return []byte(onOneLine.ReplaceAllStringFunc(text, func(block string) string {
		part := onOneLine.FindStringSubmatch(block)
		return "\n-----BEGIN " + part[1] + "-----\n" + strings.Join(strings.Fields(part[2]), "") + "\n-----END " + part[3] + "-----\n"
	}))
}

// parsedKey reads a private key, whichever of the three forms it has.
func parsedKey(der []byte) (crypto.PrivateKey, error) {
	if bits := rsaBits(der); bits > maxRSA {
		return nil, safeError(fmt.Sprintf("the RSA key has %d bits, of at most %d", bits, maxRSA))
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, checkKey(key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, checkKey(key)
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, safeError("the key must be an unencrypted private key in PEM (PKCS #8, PKCS #1 or SEC 1), and it cannot be read")
}

// rsaBits is the length of the longest number of an RSA key in PKCS #8 or PKCS #1 (RFC
// 8017 appendix A.1.2), in bits, before anything is computed with it; 0: it is no such
// key.
func rsaBits(der []byte) int {
	var wrapped struct { // RFC 5208 section 5
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	if rest, err := asn1.Unmarshal(der, &wrapped); err == nil && len(rest) == 0 {
		der = wrapped.Key
	}
	var key struct {
		Version          int
		N, E, D, P, Q    *big.Int
		DP, DQ, Inverse  *big.Int        `asn1:"optional"`
		AdditionalPrimes []asn1.RawValue `asn1:"optional,omitempty"`
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return 0
	}
	longest := 0
	for _, number := range []*big.Int{key.N, key.E, key.D, key.P, key.Q} {
		longest = max(longest, number.BitLen())
	}
	for _, prime := range key.AdditionalPrimes {
		longest = max(longest, 8*len(prime.FullBytes))
	}
	return longest
}

// checkKey refuses an RSA key whose numbers do not belong together.
func checkKey(key crypto.PrivateKey) error {
	if pair, isRSA := key.(*rsa.PrivateKey); isRSA && pair.Validate() != nil {
		return safeError("the RSA key is damaged: its numbers do not belong together")
	}
	return nil
}
