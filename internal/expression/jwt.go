// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"
	"math/big"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/go-jose/go-jose/v4"
)

// signJWT implements jwt.sign(algorithm, key, claims) and, with further header
// members such as kid, jwt.sign(algorithm, key, claims, header). The key is the
// secret itself for HS algorithms, and a private key in PEM for the others.
func signJWT(arguments ...ref.Val) ref.Val {
	algorithm := jose.SignatureAlgorithm(arguments[0].(types.String))
	key, err := signingKey(algorithm, string(arguments[1].(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	claims, err := jsonOf(arguments[2])
	if err != nil {
		return types.WrapErr(err)
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if len(arguments) == 4 {
		header, _, err := new(converter).native(arguments[3])
		members, ok := header.(map[string]any)
		if err != nil || !ok {
			return types.WrapErr(safeError("the header of a JWT must be a map"))
		}
		for name, value := range members {
			options = options.WithHeader(jose.HeaderKey(name), value)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return types.WrapErr(safeError("the key of a JWT does not suit its algorithm"))
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return types.WrapErr(safeError("a JWT cannot be signed: the key does not suit its algorithm"))
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return types.WrapErr(safeError("a JWT cannot be signed"))
	}
	return types.String(token)
}

func signingKey(algorithm jose.SignatureAlgorithm, text string) (any, error) {
	switch algorithm {
	case jose.HS256, jose.HS384, jose.HS512:
		if text == "" {
			return nil, safeError("the key of a JWT is empty")
		}
		return secretSigner(text), nil
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA:
		return privateKey(text)
	}
	return nil, safeError("the algorithm of a JWT must be one of HS, RS, PS, ES with 256, 384 or 512, or EdDSA")
}

// secretSigner signs with a secret of any length. go-jose refuses one shorter
// than its hash, as RFC 7518 section 3.2 asks; the length of a client secret is
// its provider's choice.
type secretSigner string

// Public implements jose.OpaqueSigner: a secret has no public side.
func (secretSigner) Public() *jose.JSONWebKey { return nil }

// Algs implements jose.OpaqueSigner.
func (secretSigner) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
}

// SignPayload implements jose.OpaqueSigner.
func (s secretSigner) SignPayload(payload []byte, algorithm jose.SignatureAlgorithm) ([]byte, error) {
	hashes := map[jose.SignatureAlgorithm]func() hash.Hash{jose.HS256: sha256.New, jose.HS384: sha512.New384, jose.HS512: sha512.New}
	signature := hmac.New(hashes[algorithm], []byte(s))
	signature.Write(payload)
	return signature.Sum(nil), nil
}

const (
	// maxPEM is the size of the largest private key in PEM, in bytes: an RSA key of
	// maxRSA takes less than half of it.
	maxPEM = 16 << 10

	// maxRSA is the length of the longest RSA key, in bits: twice what is in use. The
	// time that a signature takes grows with its cube; a "key" of 98,304 bits keeps a
	// processor busy for minutes.
	maxRSA = 8192
)

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
		return safeError("the RSA key of a JWT is damaged: its numbers do not belong together")
	}
	return nil
}

// claimsOfJWT implements jwt.claims(token): the payload, whose signature nobody
// checks. It suits reading a lifetime, and nothing that must be trusted.
func claimsOfJWT(arguments ...ref.Val) ref.Val {
	parts := strings.Split(string(arguments[0].(types.String)), ".")
	if len(parts) < 2 {
		return types.WrapErr(safeError("a value is not a JWT"))
	}
	payload, err := decodeBase64(parts[1])
	if err != nil {
		return types.WrapErr(safeError("a value is not a JWT"))
	}
	return decoded(payload)
}
