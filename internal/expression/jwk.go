// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// publicJWK implements jwk.public(key): the public side of a private key in PEM, as the
// map that a JWT's header holds (RFC 7517). Nothing private is in it.
func publicJWK(arguments ...ref.Val) ref.Val {
	public, err := publicKey(arguments[0])
	if err != nil {
		return types.WrapErr(err)
	}
	encoded, err := public.MarshalJSON()
	if err != nil {
		return types.WrapErr(errNoPublicKey)
	}
	members, _, err := jsontext.Decode(encoded)
	if err != nil {
		return types.WrapErr(errNoPublicKey)
	}
	return types.DefaultTypeAdapter.NativeToValue(members)
}

// thumbprintOfJWK implements jwk.thumbprint(key): the SHA-256 of the public side of a
// private key in PEM (RFC 7638), which names the key.
func thumbprintOfJWK(arguments ...ref.Val) ref.Val {
	public, err := publicKey(arguments[0])
	if err != nil {
		return types.WrapErr(err)
	}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return types.WrapErr(errNoPublicKey)
	}
	return types.Bytes(thumbprint)
}

const errNoPublicKey = safeError("the key is of a kind that has no JWK: use RSA, ECDSA or Ed25519")

func publicKey(text ref.Val) (*jose.JSONWebKey, error) {
	key, err := privateKey(string(text.(types.String)))
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errNoPublicKey
	}
	return &jose.JSONWebKey{Key: signer.Public()}, nil
}

// maxCertificates is the size of the largest chain of certificates, in bytes: several
// times what servers take.
const maxCertificates = 64 << 10

// thumbprintOfCertificate implements x509.thumbprint(certificate, hash): the hash of the
// first certificate of a PEM, as in a JWT's x5t and x5t#S256 (RFC 7515 section 4.1.7).
func thumbprintOfCertificate(arguments ...ref.Val) ref.Val {
	text := string(arguments[0].(types.String))
	if len(text) > maxCertificates {
		return types.WrapErr(safeError(fmt.Sprintf("the certificate has %d bytes, of at most %d", len(text), maxCertificates)))
	}
	algorithm, known := hashes()[string(arguments[1].(types.String))]
	if !known {
		return types.WrapErr(safeError(`the hash of x509.thumbprint must be "sha1", "sha256" or "sha512"`))
	}
	for rest := mendedPEM(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return types.WrapErr(safeError("the certificate must be one in PEM, with its line -----BEGIN CERTIFICATE-----"))
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return types.WrapErr(safeError("the certificate cannot be read"))
		}
		return digest(algorithm(), block.Bytes)
	}
}
