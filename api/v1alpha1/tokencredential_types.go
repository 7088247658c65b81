// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenCredential asks for an access token to be kept fresh in a Secret. It
// names an app's key and secret and a refresh token, all in Secrets of its own
// namespace, and the provider that turns them into access tokens.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tokencred,categories=tokens
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Stalled",type=string,JSONPath=`.status.conditions[?(@.type=="Stalled")].reason`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.providerRef.name`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.target.name`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expirationTime`
// +kubebuilder:printcolumn:name="Last Refresh",type=date,JSONPath=`.status.lastRefreshTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Next Refresh",type=string,JSONPath=`.status.nextRefreshTime`,priority=1
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 241",message="metadata.name must be at most 241 characters, since the state Secret is named after it"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.target) && has(self.spec.target.name) ? self.spec.target.name : self.metadata.name) == (has(oldSelf.spec.target) && has(oldSelf.spec.target.name) ? oldSelf.spec.target.name : oldSelf.metadata.name)",message="spec.target.name is immutable: create another TokenCredential for another target",fieldPath=".spec.target.name"
// +kubebuilder:validation:XValidation:rule="has(self.spec.target) && has(self.spec.target.name) || !self.metadata.name.endsWith('-token-state')",message="set spec.target.name: by default the target is named after the credential, and only the Secrets that hold refresh tokens have names that end with -token-state"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.appSecretRef) || self.spec.appSecretRef.name != (has(self.spec.target) && has(self.spec.target.name) ? self.spec.target.name : self.metadata.name)",message="spec.appSecretRef.name must differ from the target's name (spec.target.name, by default metadata.name): set spec.target.name to another Secret",fieldPath=".spec.appSecretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.refreshTokenSecretRef) || self.spec.refreshTokenSecretRef.name != (has(self.spec.target) && has(self.spec.target.name) ? self.spec.target.name : self.metadata.name)",message="spec.refreshTokenSecretRef.name must differ from the target's name (spec.target.name, by default metadata.name): set spec.target.name to another Secret",fieldPath=".spec.refreshTokenSecretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.loginSecretRef) || self.spec.loginSecretRef.name != (has(self.spec.target) && has(self.spec.target.name) ? self.spec.target.name : self.metadata.name)",message="spec.loginSecretRef.name must differ from the target's name (spec.target.name, by default metadata.name): set spec.target.name to another Secret",fieldPath=".spec.loginSecretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.clientCertificateSecretRef) || self.spec.clientCertificateSecretRef.name != (has(self.spec.target) && has(self.spec.target.name) ? self.spec.target.name : self.metadata.name)",message="spec.clientCertificateSecretRef.name must differ from the target's name (spec.target.name, by default metadata.name): set spec.target.name to another Secret",fieldPath=".spec.clientCertificateSecretRef"
type TokenCredential struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says which token is wanted and where it goes.
	// +required
	Spec TokenCredentialSpec `json:"spec,omitzero"`

	// status says what the operator last saw and did.
	// +optional
	Status TokenCredentialStatus `json:"status,omitzero"`
}

// TokenCredentialSpec says which token is wanted, what it is asked with, and
// where it goes. Every reference stays in the credential's own namespace.
type TokenCredentialSpec struct {
	// providerRef names the provider to ask.
	// +required
	ProviderRef ProviderReference `json:"providerRef,omitzero"`

	// parameters are the plain values that the provider declares, such as a
	// host name or a redirect URI. Nothing secret belongs here.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(name, size(self[name]) <= 2048)",message="a parameter's value must be at most 2048 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(name, size(name) <= 63)",message="a parameter's name must be at most 63 characters"
	Parameters map[string]string `json:"parameters,omitempty"`

	// appSecretRef names the Secret with the app's key and secret.
	// +optional
	AppSecretRef *AppSecretReference `json:"appSecretRef,omitempty"`

	// refreshTokenSecretRef names the Secret with the seed: the first refresh
	// token, or a new one after a person has authorized again. It is read, and
	// never written unless writeBack is true.
	// +optional
	RefreshTokenSecretRef *RefreshTokenSecretReference `json:"refreshTokenSecretRef,omitempty"`

	// loginSecretRef names the Secret with what the provider's login step
	// needs. With it a refresh token that is no longer accepted is replaced
	// without a person. A provider may use its keys in any other call, too.
	// +optional
	LoginSecretRef *LoginSecretReference `json:"loginSecretRef,omitempty"`

	// clientCertificateSecretRef names the Secret, of type kubernetes.io/tls, with
	// the client certificate that the provider's calls present (mutual TLS, RFC
	// 8705) and whose key may sign assertions.
	// +optional
	ClientCertificateSecretRef *ClientCertificateSecretReference `json:"clientCertificateSecretRef,omitempty"`

	// serviceAccountName is the service account, in the credential's namespace,
	// whose token the provider takes as subject or assertion.
	// +optional
	ServiceAccountName ServiceAccountName `json:"serviceAccountName,omitempty"`

	// renewal says when a token is renewed.
	// +optional
	// +kubebuilder:default={}
	Renewal Renewal `json:"renewal,omitzero"`

	// onUnknownOutcome says what happens when a refresh token that works once, as
	// far as is known, was sent and no clear answer came: Hold waits for a person,
	// RetryOnce sends it once more. Default: what the provider declares.
	// +optional
	OnUnknownOutcome UnknownOutcomePolicy `json:"onUnknownOutcome,omitempty"`

	// target says where the access token goes.
	// +optional
	// +kubebuilder:default={}
	Target Target `json:"target,omitzero"`

	// revokeOnDeletion, when true, revokes the grant at the provider when this
	// credential is deleted. That is tried 5 times over at most 10 minutes; the
	// credential is let go whichever way it ends.
	// +optional
	RevokeOnDeletion bool `json:"revokeOnDeletion,omitempty"`

	// suspend stops all calls to the provider while it is true. The target is
	// left as it is.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// TokenCredentialList is a list of TokenCredentials.
//
// +kubebuilder:object:root=true
type TokenCredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenCredential `json:"items"`
}

// TargetName is the name of the target Secret: spec.target.name, by default the
// credential's own.
func (c *TokenCredential) TargetName() string {
	return cmp.Or(string(c.Spec.Target.Name), c.Name)
}

// StateSecretName is the name of the Secret that holds the live refresh token.
func (c *TokenCredential) StateSecretName() string {
	return c.Name + StateSecretSuffix
}

// RefreshRequested tells whether the annotation tokenkeeper.io/refreshAt asks
// for a refresh that has not been handled.
func (c *TokenCredential) RefreshRequested() bool {
	wanted := c.Annotations[RefreshAtAnnotation]
	return wanted != "" && wanted != c.Status.LastHandledRefreshAt
}
