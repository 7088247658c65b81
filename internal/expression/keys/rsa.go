// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
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
		return Error("the RSA key of a JWT is damaged: its numbers do not belong together")
	}
	return nil
}
