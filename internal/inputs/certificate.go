// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/guard"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// maxPrivateKey is the size of the largest private key that is read, in bytes of PEM: an
// RSA key of 8,192 bits takes some 6.4 KiB. To check a larger one takes a processor longer
// than a stranger may have it.
const maxPrivateKey = 8 << 10

// Certificate is a client certificate: as the connection shows it, and as expressions see
// it, in PEM.
type Certificate struct {
	*tls.Certificate
	Chain, Key secret.Text
}

// readCertificate reads what the connection to the provider shows. What is wrong with it
// is said with the Secret and its key, and never quoted: a parser's error may hold some
// of what it could not read.
func (in *Inputs) readCertificate(ref *v1alpha1.ClientCertificateSecretReference, from *Values) *problem.Problem {
	switch needed := in.Provider.ClientCertificate; {
	case needed == "", needed == v1alpha1.None, ref == nil && needed == v1alpha1.Optional:
		return nil
	case ref == nil:
		return problem.New(v1alpha1.InvalidParametersReason,
			"the provider %s needs a client certificate: set %s to a Secret of type %s", in.Provider.Name, certificateField, corev1.SecretTypeTLS)
	case from == nil:
		return secretNotFound(certificateField, string(ref.Name))
	}
	if refusal := guard.Certificate(certificateField, from.Name, from.Type); refusal != nil {
		return refusal
	}
	chain, missing := value(from, corev1.TLSCertKey, certificateField)
	if missing != nil {
		return missing
	}
	key, missing := value(from, corev1.TLSPrivateKeyKey, certificateField)
	if missing != nil {
		return missing
	}
	if len(key.Reveal()) > maxPrivateKey {
		return badCertificate(from, corev1.TLSPrivateKeyKey, "is larger than a private key of 8192 bits: put a smaller one there")
	}
	pair, err := tls.X509KeyPair([]byte(chain.Reveal()), []byte(key.Reveal()))
	if err != nil {
		return unreadable(from, chain)
	}
	in.Certificate = &Certificate{Certificate: &pair, Chain: chain, Key: key}
	in.certificateSecret = from.Name
	return nil
}

// unreadable says which half of a pair cannot be used.
func unreadable(from *Values, chain secret.Text) *problem.Problem {
	if !isCertificate(chain) {
		return badCertificate(from, corev1.TLSCertKey, "is no certificate in PEM form: put the certificate there, and the chain up to its authority below it")
	}
	return badCertificate(from, corev1.TLSPrivateKeyKey,
		"is not the private key of the certificate under the key \""+corev1.TLSCertKey+"\", in PEM form and without a passphrase: put that there")
}

// expired says that the certificate is not good any more. Whether it is good yet is the
// server's to say, by its clock.
func (in *Inputs) expired(now time.Time) *problem.Problem {
	if in.Certificate == nil || in.Certificate.Leaf == nil || !now.After(in.Certificate.Leaf.NotAfter) {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason,
		"the client certificate in the Secret %q, key %q (%s), expired at %s: put a new one there, with its key", in.certificateSecret,
		corev1.TLSCertKey, certificateField, in.Certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

func badCertificate(from *Values, key, why string) *problem.Problem {
	return problem.New(v1alpha1.InvalidParametersReason, "what the Secret %q has under the key %q (%s) %s", from.Name, key, certificateField, why)
}

// isCertificate reports whether a text begins with a certificate in PEM form.
func isCertificate(text secret.Text) bool {
	rest := []byte(text.Reveal())
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if block.Type == "CERTIFICATE" {
			_, err := x509.ParseCertificate(block.Bytes)
			return err == nil
		}
	}
}
