// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import "github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

// Reference is a Secret that a credential refers to.
type Reference struct {
	Field string // of the spec
	Name  string
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
		all = append(all, Reference{appField, string(ref.Name)})
	}
	if ref := credential.Spec.RefreshTokenSecretRef; ref != nil {
		all = append(all, Reference{seedField, string(ref.Name)})
	}
	if ref := credential.Spec.LoginSecretRef; ref != nil {
		all = append(all, Reference{loginField, string(ref.Name)})
	}
	if ref := credential.Spec.ClientCertificateSecretRef; ref != nil {
		all = append(all, Reference{certificateField, string(ref.Name)})
	}
	return all
}
