// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Private reads the first private key of a PEM, of PKCS #8, PKCS #1 or SEC 1, and checks
// it. Blocks before it, such as a certificate or the parameters that openssl ecparam
// writes, are passed over; a PEM whose line feeds were lost on its way is mended. The error
// names what was found in its place.
func Private(text string) (crypto.PrivateKey, error) {
	if len(text) > maxPEM {
		return nil, Error(fmt.Sprintf("the key of a JWT has %d bytes, of at most %d", len(text), maxPEM))
	}
	text = decodedTwice(text)
	if bare, err := bareKey(text); bare != nil || err != nil {
		return bare, err
	}
	rest := []byte(mended(text))
	var found []string
	for {
		var next *pem.Block
		if next, rest = pem.Decode(rest); next == nil {
			return nil, noKey(text, found)
		}
		key, err := keyIn(next)
		if key != nil || err != nil {
			return key, err
		}
		if kind := kindOf(next); !slices.Contains(found, kind) {
			found = append(found, kind)
		}
	}
}

// keyIn gives the private key of a block; nil: it holds none.
func keyIn(next *pem.Block) (crypto.PrivateKey, error) {
	if bits := rsaBits(next.Bytes); bits > maxRSA {
		return nil, Error(fmt.Sprintf("the RSA key of a JWT has %d bits, of at most %d", bits, maxRSA))
	}
	if key, err := x509.ParsePKCS8PrivateKey(next.Bytes); err == nil {
		return checked(key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(next.Bytes); err == nil {
		return checked(key)
	}
	if key, err := x509.ParseECPrivateKey(next.Bytes); err == nil {
		return key, nil
	}
	return nil, nil
}

func checked(key crypto.PrivateKey) (crypto.PrivateKey, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// decodedTwice is the PEM in a text that is the base64 of one: a Secret's data is encoded
// already, and who encodes it once more has the key all the same.
func decodedTwice(text string) string {
	if strings.Contains(text, "-----BEGIN") {
		return text
	}
	if plain, err := base64.StdEncoding.DecodeString(noBase64.ReplaceAllString(text, "")); err == nil && bytes.Contains(plain, []byte("-----BEGIN")) {
		return string(plain)
	}
	return text
}

// bareKey reads a key whose lines BEGIN and END were left out; nil: it is none.
func bareKey(text string) (crypto.PrivateKey, error) {
	if strings.Contains(text, "-----") {
		return nil, nil
	}
	if der, err := base64.StdEncoding.DecodeString(noBase64.ReplaceAllString(escaped.Replace(text), "")); err == nil && len(der) > 0 {
		return keyIn(&pem.Block{Bytes: der})
	}
	return nil, nil
}

// rowWidth is how long a line of a PEM is (RFC 7468 section 2).
const rowWidth = 64

var (
	// block is a PEM block, whatever became of its line feeds.
	block = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+?)-----(.*?)-----END [A-Z0-9 ]+?-----`)
	// header is a line of RFC 1421 section 4.4 before a key: it says how it is encrypted.
	header = regexp.MustCompile(`[A-Za-z-]+: ?[A-Za-z0-9,-]+`)
	// noBase64 is what is not of a key.
	noBase64 = regexp.MustCompile(`[^A-Za-z0-9+/=]+`)
	// escaped is what line feeds and strokes become in JSON and in shells.
	escaped = strings.NewReplacer(`\\r`, "", `\\n`, "\n", `\r`, "", `\n`, "\n", `\/`, "/", "\r\n", "\n", "\r", "\n")
)

// mended is a PEM with its lines as they are to be: where line feeds were escaped, as in a
// key that comes from a JSON file, or became blanks, or were lost.
func mended(text string) string {
	return block.ReplaceAllStringFunc(escaped.Replace(text), func(found string) string {
		parts := block.FindStringSubmatch(found)
		label, body, headers := strings.TrimSpace(parts[1]), parts[2], ""
		if strings.Contains(body, ":") {
			headers = strings.Join(header.FindAllString(body, -1), "\n") + "\n\n"
			body = header.ReplaceAllString(body, "")
		}
		var lines strings.Builder
		for line := range slices.Chunk([]byte(noBase64.ReplaceAllString(body, "")), rowWidth) {
			lines.Write(append(line, '\n'))
		}
		return "\n-----BEGIN " + label + "-----\n" + headers + lines.String() + "-----END " + label + "-----\n"
	})
}

// kindOf says what a block is that has no private key that can be used. A label may say
// anything, so none is quoted.
func kindOf(next *pem.Block) string {
	switch {
	case next.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(next.Headers["Proc-Type"], "ENCRYPTED"):
		return "an encrypted private key (decrypt it first, such as with openssl pkey)"
	case next.Type == "OPENSSH PRIVATE KEY":
		return "a private key of OpenSSH (convert it, such as with ssh-keygen -p -m PEM)"
	case strings.HasSuffix(next.Type, "PRIVATE KEY"):
		return "a private key that is damaged or of a kind that is not known"
	case strings.HasSuffix(next.Type, "PUBLIC KEY"):
		return "a public key"
	case strings.HasSuffix(next.Type, "CERTIFICATE REQUEST"):
		return "a certificate request"
	case strings.HasSuffix(next.Type, "CERTIFICATE"):
		return "a certificate"
	case strings.HasSuffix(next.Type, "PARAMETERS"):
		return "the parameters of a key"
	}
	return "a block of another kind"
}

// noKey says that a text holds no private key, and what it holds.
func noKey(text string, found []string) error {
	const want = "the key of a JWT must be an unencrypted private key in PEM (PKCS #8, PKCS #1 or SEC 1)"
	text = strings.TrimSpace(text)
	switch {
	case len(found) > 0:
		return Error(want + ", and holds " + strings.Join(found, " and "))
	case text == "":
		return Error(want + ", and is empty")
	case strings.HasPrefix(text, "{"):
		return Error(want + ", and is JSON: take the key out of it, or convert a JWK")
	case strings.Contains(text, "-----BEGIN"):
		return Error(want + ", and its block is damaged or not whole")
	}
	return Error(want + ", and has no -----BEGIN line")
}
