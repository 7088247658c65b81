// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ProviderKind tells where a provider is described.
// +kubebuilder:validation:Enum=BuiltIn;ClusterTokenProvider
type ProviderKind string

const (
	// BuiltInProvider is a provider that ships with the operator.
	BuiltInProvider ProviderKind = "BuiltIn"
	// ClusterProvider is a provider described by a ClusterTokenProvider.
	ClusterProvider ProviderKind = "ClusterTokenProvider"
)

// ProviderReference names a provider.
type ProviderReference struct {
	// kind is BuiltIn for a provider that ships with the operator, or
	// ClusterTokenProvider for one that this cluster's admin describes.
	// +optional
	// +kubebuilder:default=BuiltIn
	Kind ProviderKind `json:"kind,omitempty"`

	// name is the provider's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write a provider's name: lower-case letters, digits, '-' and '.', such as xiaomi"
	Name string `json:"name,omitempty"`
}

// SecretName is the name of a Secret in the credential's namespace.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write a Secret's name: lower-case letters, digits, '-' and '.', at most 253 characters"
// +kubebuilder:validation:XValidation:rule="!self.endsWith('-token-state')",message="name another Secret: those whose names end with -token-state hold refresh tokens, and are the operator's alone"
type SecretName string

// SecretKey is a key of a Secret's data.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="write a key of a Secret: letters, digits, '-', '_' and '.'"
type SecretKey string

// AppSecretReference names the Secret with the app's key and secret.
type AppSecretReference struct {
	// name of the Secret.
	// +required
	Name SecretName `json:"name,omitempty"`

	// keyField is the key of the Secret that holds the app's key (the client
	// identifier).
	// +optional
	// +kubebuilder:default=app_key
	KeyField SecretKey `json:"keyField,omitempty"`

	// secretField is the key of the Secret that holds the app's secret (the
	// client secret).
	// +optional
	// +kubebuilder:default=app_secret
	SecretField SecretKey `json:"secretField,omitempty"`
}

// RefreshTokenSecretReference names the Secret with the seed.
type RefreshTokenSecretReference struct {
	// name of the Secret.
	// +required
	Name SecretName `json:"name,omitempty"`

	// key of the Secret that holds the refresh token.
	// +optional
	// +kubebuilder:default=refresh_token
	Key SecretKey `json:"key,omitempty"`

	// writeBack, when true, also keeps the live refresh token in this Secret.
	// +optional
	WriteBack bool `json:"writeBack,omitempty"`
}

// LoginSecretReference names the Secret with what the login step, or another call,
// needs; its keys are those that the provider lists in spec.inputs.login.
type LoginSecretReference struct {
	// name of the Secret.
	// +required
	Name SecretName `json:"name,omitempty"`
}

// ClientCertificateSecretReference names the Secret with a client certificate: its
// keys are tls.crt and tls.key, as in every Secret of type kubernetes.io/tls.
type ClientCertificateSecretReference struct {
	// name of the Secret.
	// +required
	Name SecretName `json:"name,omitempty"`
}

// ServiceAccountName is the name of a service account.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write a service account's name: lower-case letters, digits, '-' and '.', at most 253 characters"
type ServiceAccountName string

// Renewal says when a token is renewed: at the earliest of these moments, and never
// before a provider that states renewal.earliestPercentage allows it.
type Renewal struct {
	// percentage of the lifetime granted after which the token is renewed.
	// +optional
	// +kubebuilder:default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	Percentage int32 `json:"percentage,omitempty"`

	// before is the time before expiry at which the token is renewed at the
	// latest, such as 5m.
	// +optional
	Before *Duration `json:"before,omitempty"`

	// atLeastEvery is the longest time between two renewals, such as 24h, however
	// long the access token lives. It keeps alive a grant that ends unless it is
	// used. Default: no such bound.
	// +optional
	AtLeastEvery *Duration `json:"atLeastEvery,omitempty"`
}

// UnknownOutcomePolicy says what to do when nobody knows whether a single-use
// refresh token was spent.
// +kubebuilder:validation:Enum=Hold;RetryOnce
type UnknownOutcomePolicy string

const (
	// Hold waits for a person. It suits a provider that answers a spent token
	// by revoking the whole grant.
	Hold UnknownOutcomePolicy = "Hold"
	// RetryOnce sends the token once more. It suits a provider that merely
	// refuses a spent token.
	RetryOnce UnknownOutcomePolicy = "RetryOnce"
)
