// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// InputRequirement says whether a credential must bring an input.
// +kubebuilder:validation:Enum=Required;Optional;None
type InputRequirement string

const (
	// Required: a credential without it is refused.
	Required InputRequirement = "Required"
	// Optional: used where it is given.
	Optional InputRequirement = "Optional"
	// None: never read, and ignored where it is given.
	None InputRequirement = "None"
)

// ProviderInputs says what a credential must bring.
type ProviderInputs struct {
	// app says whether appSecretRef is needed. Default: Required where a
	// request uses app.key or app.secret, else None.
	// +optional
	App InputRequirement `json:"app,omitempty"`

	// refreshToken says whether refreshTokenSecretRef is needed. Default:
	// Required where there is no login step, Optional where there is one, None
	// where there is no refresh.
	// +optional
	RefreshToken InputRequirement `json:"refreshToken,omitempty"`

	// login lists the keys that loginSecretRef must hold, whichever call uses them.
	// Where refreshToken is not Required and login is described, a credential may do
	// without loginSecretRef as long as it has a refresh token and no other call
	// needs the keys.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Login []SecretKey `json:"login,omitempty"`

	// clientCertificate says whether clientCertificateSecretRef is needed. With it
	// every call of the provider presents the certificate (mutual TLS, RFC 8705),
	// and expressions have clientCertificate.certificate and clientCertificate.key,
	// in PEM. Default: Required where a request uses one of these, else None.
	// +optional
	ClientCertificate InputRequirement `json:"clientCertificate,omitempty"`

	// serviceAccountToken asks for a token of the service account that
	// serviceAccountName names; expressions have it as serviceAccountToken. One is
	// kept for 80 % of its life, then the next is made.
	// +optional
	ServiceAccountToken *ServiceAccountTokenInput `json:"serviceAccountToken,omitempty"`

	// parameters lists the plain values that a credential may set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Parameters []ProviderParameter `json:"parameters,omitempty"`
}

// ServiceAccountTokenInput says what token of a service account a provider takes, as
// a subject (RFC 8693) or as an assertion (RFC 7523).
type ServiceAccountTokenInput struct {
	// audience of the token: whom it is for. It may hold ${...} over parameters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Audience string `json:"audience,omitempty"`

	// expirationSeconds is how long the token lives, 600 to 86400 seconds. Default:
	// 3600. A cluster may issue it for less.
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=600
	// +kubebuilder:validation:Maximum=86400
	ExpirationSeconds int32 `json:"expirationSeconds,omitempty"`

	// optional, when true, lets a credential do without serviceAccountName; the
	// variable is the empty text then.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// ProviderParameter is a plain value that a credential may set.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.required) && self.required && has(self.default))",message="a parameter with a default is never missing: leave out required or default"
type ProviderParameter struct {
	// name by which expressions use it: parameters.<name>.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_][a-zA-Z0-9_]*$')",message="write a name of letters, digits and '_', such as redirectURI"
	Name string `json:"name,omitempty"`

	// description is one line for people; it is shown when the value is wrong.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// required refuses a credential that does not set it.
	// +optional
	Required bool `json:"required,omitempty"`

	// default is used where the credential does not set it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Default *string `json:"default,omitempty"`

	// pattern is a regular expression (RE2) that the value must match. A
	// parameter that decides which host is called must have one.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Pattern string `json:"pattern,omitempty"`
}
