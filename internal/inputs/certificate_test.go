// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// pairOf makes a certificate, good for an hour from noon, and its key, both in PEM.
func pairOf(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: noon.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return inPEM("CERTIFICATE", der), inPEM("PRIVATE KEY", keyDER)
}

func gathererFor(t *testing.T, c *cluster, described string) *Gatherer {
	t.Helper()
	catalog, err := NewCatalog(c, map[string]v1alpha1.ClusterTokenProviderSpec{"shop": specOf(t, described)}, []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	return &Gatherer{Catalog: catalog, Secrets: c.secrets()}
}

func TestGatherReadsTheClientCertificate(t *testing.T) {
	t.Parallel()
	certificate, key := pairOf(t)
	_, otherKey := pairOf(t)
	tls := func(c *cluster, certificate, key string) {
		c.put("tls", "1", map[string]string{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key})
		c.live["tls"].Type = corev1.SecretTypeTLS
	}
	for _, each := range []struct {
		name, reason string
		needed       string
		change       func(c *cluster, credential *v1alpha1.TokenCredential)
		now          time.Time
		want         string   // the reason; empty: all is well
		says         []string // parts of the message
		shown        bool
	}{
		{"all is there", "it is shown", "Required", func(*cluster, *v1alpha1.TokenCredential) {}, noon, "", nil, true},
		{"none is named", "the message says which field to set", "Required", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.ClientCertificateSecretRef = nil
		}, noon, v1alpha1.InvalidParametersReason, []string{"needs a client certificate", "spec.clientCertificateSecretRef"}, false},
		{"none is named, and none needs be", "the provider does without", "Optional", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.ClientCertificateSecretRef = nil
		}, noon, "", nil, false},
		{"the provider takes none", "what it does not take it is not shown", "None", func(*cluster, *v1alpha1.TokenCredential) {}, noon, "", nil, false},
		{"no such Secret", "the message names it", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("tls") }, noon,
			v1alpha1.SecretNotFoundReason, []string{`"tls"`}, false},
		{"no such Secret, where one is optional", "one that is named is wanted", "Optional", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("tls") }, noon,
			v1alpha1.SecretNotFoundReason, []string{`"tls"`}, false},
		{"a Secret of another type", "a password is not shown as a key", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.live["tls"].Type = corev1.SecretTypeOpaque
		}, noon, v1alpha1.InvalidParametersReason, []string{"of type Opaque", "kubernetes.io/tls"}, false},
		{"no certificate in it", "the message names the key", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) { tls(c, "", key) }, noon,
			v1alpha1.SecretKeyMissingReason, []string{`"tls"`, "tls.crt"}, false},
		{"a certificate that is none", "the message names Secret and key", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) { tls(c, "canary", key) }, noon,
			v1alpha1.InvalidParametersReason, []string{`"tls"`, `"tls.crt"`, "no certificate in PEM form"}, false},
		{"a key that is none", "the message names Secret and key", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) { tls(c, certificate, "canary") }, noon,
			v1alpha1.InvalidParametersReason, []string{`"tls"`, `"tls.key"`, "not the private key"}, false},
		{"the key of another certificate", "the message says which half to look at", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) { tls(c, certificate, otherKey) }, noon,
			v1alpha1.InvalidParametersReason, []string{`"tls.key"`, "not the private key"}, false},
		{"a key that is too large to be checked", "to check it would take a processor for minutes", "Required", func(c *cluster, _ *v1alpha1.TokenCredential) {
			tls(c, certificate, key+strings.Repeat("canary", 2000))
		}, noon, v1alpha1.InvalidParametersReason, []string{`"tls.key"`, "8192 bits"}, false},
		{"its last second", "it is good until then", "Required", func(*cluster, *v1alpha1.TokenCredential) {}, noon.Add(time.Hour), "", nil, true},
		{"it has expired", "the message says when, and where it is", "Required", func(*cluster, *v1alpha1.TokenCredential) {}, noon.Add(time.Hour + time.Second),
			v1alpha1.InvalidParametersReason, []string{`"tls"`, `"tls.crt"`, "expired at 2026-11-26T13:00:00Z"}, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c, credential := fullCluster(), full()
			tls(c, certificate, key)
			credential.Spec.ClientCertificateSecretRef = &v1alpha1.ClientCertificateSecretReference{Name: "tls"}
			each.change(c, credential)
			described := strings.Replace(shopProvider, "inputs: {", "inputs: {clientCertificate: "+each.needed+", ", 1)
			in, err := gathererFor(t, c, described).Gather(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			missing, got := in.Missing(each.now), ""
			if missing != nil {
				got = missing.Reason
				for _, part := range each.says {
					if !strings.Contains(missing.Message, part) {
						t.Errorf("%q does not say %q\nreason: %s", missing.Message, part, each.reason)
					}
				}
				if strings.Contains(missing.Message, "canary") {
					t.Errorf("%q quotes what is in the Secret", missing.Message)
				}
			}
			request := in.Request(in.Seed, in.Seed, nil)
			if got != each.want || (in.Certificate != nil) != each.shown || request.ClientKey.IsZero() == each.shown {
				t.Errorf("got %q, want %q; shown: %t, want %t\nreason: %s", got, each.want, in.Certificate != nil, each.shown, each.reason)
			}
		})
	}
}
