// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"testing"
	"time"
)

// app is an app as an authorization server has it registered, and as its owner writes it
// into Secrets.
type app struct {
	id, secret string
	// authentication is what spec.parameters.clientAuthentication says; "": the default.
	authentication string
	// parameters beside tokenURL and clientAuthentication.
	parameters map[string]string
	// bound says that the app's tokens are bound to the key in place of its secret.
	bound bool
	// certificate of the app and its key, in PEM; its issuer is issuer.
	certificate, key string
	issuer           *x509.Certificate
	// public half of the key that signs assertions; its algorithm and identifier are
	// among the parameters.
	public crypto.PublicKey
}

// awkward are characters that a form and a header must not send as they are (RFC 6749
// section 2.3.1); an identifier and a secret may have them all (appendix A).
const awkward = ": %+/&='\""

func withBasic() app { return app{id: "an app" + awkward, secret: "its secret" + awkward} }

func withPost() app {
	return app{id: "an app" + awkward, secret: "its secret" + awkward, authentication: "post"}
}

func withNone() app { return app{id: "a public app", authentication: "none"} }

func withKey(t *testing.T, algorithm, id string, private crypto.Signer) app {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	a := app{
		id: "an app with a key", authentication: "private_key_jwt", public: private.Public(),
		secret:     string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		parameters: map[string]string{"assertionAlgorithm": algorithm},
	}
	if id != "" {
		a.parameters["assertionKeyID"] = id
	}
	return a
}

// withProof is a public app whose tokens are bound to a key (RFC 9449).
func withProof(t *testing.T) app {
	t.Helper()
	a := withKey(t, "ES256", "", ecKey(t))
	a.id, a.authentication, a.bound, a.parameters = "an app with a proof", "none", true, nil
	return a
}

// withCertificate is an app that authenticates by a certificate of an issuer of its own.
func withCertificate(t *testing.T) app {
	t.Helper()
	a := app{id: "an app with a certificate", authentication: "tls_client_auth"}
	authority, private := ecKey(t), ecKey(t)
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
	}
	a.issuer = template("an authority")
	a.issuer.IsCA, a.issuer.BasicConstraintsValid = true, true
	der, err := x509.CreateCertificate(rand.Reader, a.issuer, a.issuer, authority.Public(), authority)
	must(t, err)
	a.issuer, err = x509.ParseCertificate(der)
	must(t, err)
	der, err = x509.CreateCertificate(rand.Reader, template(a.id), a.issuer, private.Public(), authority)
	must(t, err)
	a.certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	der, err = x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	a.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return a
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return key
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func edKey(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

// parametersFor are the parameters of a credential of the app.
func (a app) parametersFor(tokenURL string) map[string]string {
	parameters := maps.Clone(a.parameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	parameters["tokenURL"] = tokenURL
	if a.authentication != "" {
		parameters["clientAuthentication"] = a.authentication
	}
	return parameters
}

// data of the Secret that holds the app's key and secret. A public app has an empty one.
func (a app) data() map[string]string {
	return map[string]string{"app_key": a.id, "app_secret": a.secret}
}
