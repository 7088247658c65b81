// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package functions

import (
	"crypto"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/keys"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// signJWT implements jwt.sign(algorithm, key, claims) and, with further header
// members such as kid, jwt.sign(algorithm, key, claims, header). The key is the
// secret itself for HS algorithms, and a private key in PEM for the others.
func signJWT(arguments ...ref.Val) ref.Val {
	algorithm := jose.SignatureAlgorithm(arguments[0].(types.String))
	key, err := keys.ForJWT(algorithm, string(arguments[1].(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	claims, err := jsonOf(arguments[2])
	if err != nil {
		return types.WrapErr(err)
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if len(arguments) == 4 {
		header, _, err := values.Native(arguments[3])
		members, ok := header.(map[string]any)
		if err != nil || !ok {
			return types.WrapErr(values.Error("the header of a JWT must be a map"))
		}
		for name, value := range members {
			options = options.WithHeader(jose.HeaderKey(name), value)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return types.WrapErr(values.Error("the key of a JWT does not suit its algorithm"))
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return types.WrapErr(values.Error("a JWT cannot be signed: the key does not suit its algorithm"))
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return types.WrapErr(values.Error("a JWT cannot be signed"))
	}
	return types.String(token)
}

// signMessage implements sign(algorithm, key, message): a bare signature over a text or
// bytes. The key is a private key in PEM.
func signMessage(arguments ...ref.Val) ref.Val {
	signed, err := keys.Sign(string(arguments[0].(types.String)), string(arguments[1].(types.String)), bytesOf(arguments[2]))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Bytes(signed)
}

// publicJWK implements jwk.public(key): the public side of a private key in PEM, as the
// map that a JWT's header holds (RFC 7517).
func publicJWK(arguments ...ref.Val) ref.Val {
	public, err := keys.Public(string(arguments[0].(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	encoded, err := public.MarshalJSON()
	if err != nil {
		return types.WrapErr(errNoJWK)
	}
	members, _, err := jsontext.Decode(encoded)
	if err != nil {
		return types.WrapErr(errNoJWK)
	}
	return types.DefaultTypeAdapter.NativeToValue(members)
}

// thumbprintOfJWK implements jwk.thumbprint(key): the SHA-256 of the public side of a
// private key in PEM (RFC 7638), which names the key.
func thumbprintOfJWK(arguments ...ref.Val) ref.Val {
	public, err := keys.Public(string(arguments[0].(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return types.WrapErr(errNoJWK)
	}
	return types.Bytes(thumbprint)
}

const errNoJWK = values.Error("the key is of a kind that has no JWK: use RSA, ECDSA or Ed25519")

// thumbprintOfCertificate implements x509.thumbprint(certificate, hash): the hash of the
// first certificate of a PEM, as in a JWT's x5t and x5t#S256 (RFC 7515 section 4.1.7).
func thumbprintOfCertificate(arguments ...ref.Val) ref.Val {
	algorithm, known := hashes()[string(arguments[1].(types.String))]
	if !known {
		return types.WrapErr(values.Error(`the hash of x509.thumbprint must be "sha1", "sha256" or "sha512"`))
	}
	certificate, err := keys.Certificate(string(arguments[0].(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return digest(algorithm(), certificate)
}

// claimsOfJWT implements jwt.claims(token): the payload, whose signature nobody
// checks. It suits reading a lifetime, and nothing that must be trusted.
func claimsOfJWT(arguments ...ref.Val) ref.Val {
	parts := strings.Split(string(arguments[0].(types.String)), ".")
	if len(parts) < 2 {
		return types.WrapErr(values.Error("a value is not a JWT"))
	}
	payload, err := decodeBase64(parts[1])
	if err != nil {
		return types.WrapErr(values.Error("a value is not a JWT"))
	}
	return decoded(payload)
}
