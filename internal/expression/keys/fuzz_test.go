// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/rsa"
	"encoding/pem"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/cost"
)

// FuzzPrivateKey reads a private key in PEM, and the bytes in PEM.
func FuzzPrivateKey(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n", []byte{0x30})
	f.Add("no key", []byte{0x30, 0x82, 0x30, 0x10, 0x02, 0x01, 0x00, 0x02, 0x82, 0x30, 0x00})
	f.Add(`-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----`, []byte{})
	f.Fuzz(func(t *testing.T, text string, der []byte) {
		for _, each := range []string{text, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))} {
			var (
				key crypto.PrivateKey
				err error
			)
			if took := cost.Of(t, func() { key, err = Private(each) }); took.Processor > 2*time.Second {
				t.Errorf("it took %s", took.Processor)
			}
			if pair, isRSA := key.(*rsa.PrivateKey); err == nil && isRSA && pair.N.BitLen() > maxRSA {
				t.Errorf("a key of %d bits is taken", pair.N.BitLen())
			}
		}
	})
}
