// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// maxCertificates is the size of the largest chain of certificates, in bytes: several
// times what servers take.
const maxCertificates = 64 << 10

// Certificate gives the bytes, in DER, of the first certificate of a PEM.
func Certificate(text string) ([]byte, error) {
	if len(text) > maxCertificates {
		return nil, Error(fmt.Sprintf("the certificate has %d bytes, of at most %d", len(text), maxCertificates))
	}
	for rest := []byte(mended(text)); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, Error("the certificate must be one in PEM, with its line -----BEGIN CERTIFICATE-----")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, Error("the certificate cannot be read")
		}
		return block.Bytes, nil
	}
}
