// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Reference is a Secret that a credential refers to.
type Reference struct {
	Field string // of the spec
	Name  string
	// Keys that the credential names, or leaves at their defaults; those of a login are its
	// provider's to name.
	Keys []string
}

// keys of the Secret, of which some may be the provider's to name.
func (r Reference) keys(from Provider) []string {
	if r.Field == loginField {
		return from.LoginKeys
	}
	return r.Keys
}

// Fields of the spec that refer to Secrets.
const (
	appField   = "spec.appSecretRef"
	seedField  = "spec.refreshTokenSecretRef"
	loginField = "spec.loginSecretRef"

	certificateField = "spec.clientCertificateSecretRef"
)

// References lists the Secrets that a credential refers to, in a fixed order.
func References(credential *v1alpha1.TokenCredential) []Reference {
	var all []Reference
	if ref := credential.Spec.AppSecretRef; ref != nil {
		all = append(all, Reference{appField, string(ref.Name), []string{string(cmp.Or(ref.KeyField, defaultAppKey)), string(cmp.Or(ref.SecretField, defaultAppSecret))}})
	}
	if ref := credential.Spec.RefreshTokenSecretRef; ref != nil {
		all = append(all, Reference{seedField, string(ref.Name), []string{SeedKey(ref)}})
	}
	if ref := credential.Spec.LoginSecretRef; ref != nil {
		all = append(all, Reference{loginField, string(ref.Name), nil})
	}
	if ref := credential.Spec.ClientCertificateSecretRef; ref != nil {
		all = append(all, Reference{certificateField, string(ref.Name), []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}})
	}
	return all
}
