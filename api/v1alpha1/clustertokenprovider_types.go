// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ClusterTokenProvider describes how one provider of access tokens speaks: which
// endpoint is called, with what, and how its replies are read. It is the
// cluster admin's, since it decides which addresses the operator calls.
//
// A string may hold ${...} with a CEL expression; the fields of a response are
// plain CEL. See the provider reference for the variables and functions.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=tokenprovider,categories=tokens
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Rotation",type=string,JSONPath=`.spec.rotation.mode`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type ClusterTokenProvider struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the provider.
	// +required
	Spec ClusterTokenProviderSpec `json:"spec,omitzero"`

	// status says whether the description compiles.
	// +optional
	Status ClusterTokenProviderStatus `json:"status,omitzero"`
}

// ClusterTokenProviderSpec describes a provider. A built-in provider is a file
// that holds exactly this.
//
// +kubebuilder:validation:XValidation:rule="has(self.refresh) || has(self.login)",message="describe at least one of refresh and login"
type ClusterTokenProviderSpec struct {
	// description is one line for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// documentation is the address of the provider's own description.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Documentation string `json:"documentation,omitempty"`

	// namespaces says whose credentials may use this provider. Default: those of
	// every namespace.
	// +optional
	Namespaces *ProviderNamespaces `json:"namespaces,omitempty"`

	// inputs says what a credential must bring.
	// +optional
	Inputs ProviderInputs `json:"inputs,omitzero"`

	// refresh is the call that turns a refresh token into an access token.
	// +optional
	Refresh *ProviderCall `json:"refresh,omitempty"`

	// login is the call that gets the first token, and the next one after the
	// refresh token is no longer accepted. A provider without refresh tokens
	// has only this.
	// +optional
	Login *ProviderCall `json:"login,omitempty"`

	// rotation says what becomes of a refresh token that was used.
	// +optional
	// +kubebuilder:default={}
	Rotation Rotation `json:"rotation,omitzero"`

	// lifetime holds where a reply states none.
	// +optional
	Lifetime Lifetimes `json:"lifetime,omitzero"`

	// rateLimit bounds the calls of all credentials of this provider together.
	// +optional
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
}

// ProviderNamespaces says whose credentials may use a provider: those of a
// namespace that has one of the names and that the selector matches. Of the two
// one may be left out, and then asks for nothing.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) || has(self.selector)",message="write names, selector or both; leave namespaces out for every namespace"
type ProviderNamespaces struct {
	// names of namespaces. In a name * stands for any characters, or for none, so
	// that team-* is every namespace whose name begins with team-.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Names []NamespacePattern `json:"names,omitempty"`

	// selector matches labels of the namespace; an empty one matches every
	// namespace. An operator that watches some namespaces alone (--namespaces)
	// cannot read labels: there a selector that asks for any matches none.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// NamespacePattern is the name of a namespace, in which * stands for any
// characters, or for none.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[-a-z0-9*]+$')",message="write a namespace's name such as team-a, or a pattern such as team-*"
type NamespacePattern string

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

	// login lists the keys that loginSecretRef must hold.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Login []SecretKey `json:"login,omitempty"`

	// parameters lists the plain values that a credential may set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Parameters []ProviderParameter `json:"parameters,omitempty"`
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

// ProviderCall is one call: the request that is sent and how the reply is read.
type ProviderCall struct {
	// request is what is sent.
	// +required
	Request ProviderRequest `json:"request,omitzero"`

	// response is how the reply is read.
	// +required
	Response ProviderResponse `json:"response,omitzero"`
}

// ProviderRequest is what is sent. Every string may hold ${...}; a value that is
// an empty optional is left out.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.form) && has(self.json))",message="a request has one body: write form or json, not both"
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method != 'GET' || !(has(self.form) || has(self.json))",message="a GET request has no body: use query, or another method"
type ProviderRequest struct {
	// method of the request.
	// +optional
	// +kubebuilder:default=POST
	// +kubebuilder:validation:Enum=GET;POST;PUT;PATCH
	Method string `json:"method,omitempty"`

	// url that is called, without the query. A parameter in its host must have
	// a pattern.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	URL string `json:"url,omitempty"`

	// query is appended to the URL, encoded.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Query map[string]string `json:"query,omitempty"`

	// form is sent as application/x-www-form-urlencoded.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Form map[string]string `json:"form,omitempty"`

	// json is sent as application/json. Any value in it may be a ${...} string.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	JSON *runtime.RawExtension `json:"json,omitempty"`

	// headers are sent beside Accept, Content-Type and User-Agent, and override
	// them.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Headers map[string]string `json:"headers,omitempty"`

	// basicAuth is sent as the Authorization header (RFC 7617).
	// +optional
	BasicAuth *BasicAuth `json:"basicAuth,omitempty"`
}

// BasicAuth is HTTP Basic authentication.
type BasicAuth struct {
	// username to send; may be an expression that gives an empty optional, which
	// leaves the header out.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Username string `json:"username,omitempty"`

	// password to send.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Password string `json:"password,omitempty"`

	// formEncoded encodes both values first, as RFC 6749 section 2.3.1 asks.
	// +optional
	FormEncoded bool `json:"formEncoded,omitempty"`
}

// ResponseFormat tells how a reply's body is decoded.
// +kubebuilder:validation:Enum=Auto;JSON;Form
type ResponseFormat string

const (
	// FormatAuto decides by the body's content, whatever its Content-Type.
	FormatAuto ResponseFormat = "Auto"
	// FormatJSON decodes JSON.
	FormatJSON ResponseFormat = "JSON"
	// FormatForm decodes application/x-www-form-urlencoded.
	FormatForm ResponseFormat = "Form"
)

// Expression is a CEL expression.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type Expression string

// ProviderResponse is how a reply is read. An expression that fails, such as one
// over a missing key, counts as absent, or as false.
type ProviderResponse struct {
	// prefix is stripped once from the start of the body.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Prefix string `json:"prefix,omitempty"`

	// format of the body.
	// +optional
	// +kubebuilder:default=Auto
	Format ResponseFormat `json:"format,omitempty"`

	// success tells whether the reply brings a token. Default: any 2xx status
	// of which no failure rule matches.
	// +optional
	Success Expression `json:"success,omitempty"`

	// accessToken in the reply.
	// +required
	AccessToken Expression `json:"accessToken,omitempty"`

	// refreshToken in the reply; absent or empty keeps the old one.
	// +optional
	RefreshToken Expression `json:"refreshToken,omitempty"`

	// tokenType in the reply. Default: body.token_type, else Bearer.
	// +optional
	TokenType Expression `json:"tokenType,omitempty"`

	// expiresIn is the access token's lifetime in seconds, as a number, a
	// numeric string, or a duration.
	// +optional
	ExpiresIn Expression `json:"expiresIn,omitempty"`

	// expiresAt is when the access token expires: a timestamp, an RFC 3339
	// string, or seconds since 1970. It wins over expiresIn.
	// +optional
	ExpiresAt Expression `json:"expiresAt,omitempty"`

	// refreshTokenExpiresIn is the refresh token's lifetime, as in expiresIn.
	// +optional
	RefreshTokenExpiresIn Expression `json:"refreshTokenExpiresIn,omitempty"`

	// refreshTokenExpiresAt is when the refresh token expires, as in expiresAt.
	// +optional
	RefreshTokenExpiresAt Expression `json:"refreshTokenExpiresAt,omitempty"`

	// outputs are further values of the reply that go to the target.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[-._a-zA-Z0-9]{1,63}$'))",message="an output becomes a key of the target: its name may hold 63 letters, digits, '-', '_' and '.'"
	Outputs map[string]Expression `json:"outputs,omitempty"`

	// failures classify a reply that is no success; the first that matches
	// wins. Each says that nothing was spent. Where none matches nobody knows.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Failures []FailureRule `json:"failures,omitempty"`

	// message in a failed reply, for people. It is shown shortened and without
	// anything that looks like a secret.
	// +optional
	Message Expression `json:"message,omitempty"`
}

// FailureReason is what a failure rule may conclude.
// +kubebuilder:validation:Enum=ReauthorizationRequired;AppRejected;RequestRejected;RateLimited;ProviderUnavailable
type FailureReason string

// FailureRule classifies a reply that is no success.
type FailureRule struct {
	// when is the expression that must be true.
	// +required
	When Expression `json:"when,omitempty"`

	// reason is what the reply means.
	// +required
	Reason FailureReason `json:"reason,omitempty"`
}

// RotationMode says what becomes of a refresh token that was used.
// +kubebuilder:validation:Enum=Auto;SingleUse;Reusable
type RotationMode string

const (
	// Auto: a refresh token counts as SingleUse until it was sent and answered with an
	// access token while no other refresh token came; from then on as Reusable.
	Auto RotationMode = "Auto"
	// SingleUse: a refresh token works once, and its successor is in the reply.
	SingleUse RotationMode = "SingleUse"
	// Reusable: a refresh token may be sent again, so nothing can be lost.
	Reusable RotationMode = "Reusable"
)

// Rotation says what becomes of a refresh token that was used.
type Rotation struct {
	// mode: Auto, SingleUse or Reusable. Auto is right for every provider that merely
	// refuses a spent token: each token counts as single use until the provider has
	// accepted it and left it as it was. SingleUse never learns that: it is for a provider
	// that rotates now and then and punishes reuse. Reusable takes an admin's word that a
	// refresh token works again and again.
	// +optional
	// +kubebuilder:default=Auto
	Mode RotationMode `json:"mode,omitempty"`

	// reuseWindow is how long the provider still honours the last spent token.
	// +optional
	ReuseWindow *Duration `json:"reuseWindow,omitempty"`

	// onUnknownOutcome applies where a credential does not say.
	// +optional
	// +kubebuilder:default=Hold
	OnUnknownOutcome UnknownOutcomePolicy `json:"onUnknownOutcome,omitempty"`
}

// Lifetimes hold where a reply states none.
type Lifetimes struct {
	// accessToken lives this long. Default: one hour.
	// +optional
	AccessToken *Duration `json:"accessToken,omitempty"`

	// refreshToken lives this long. Default: not known.
	// +optional
	RefreshToken *Duration `json:"refreshToken,omitempty"`
}

// RateLimit bounds the calls of all credentials of one provider together.
type RateLimit struct {
	// requests that may be sent in each period.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Requests int32 `json:"requests,omitempty"`

	// per is the period. Default: 1s.
	// +optional
	Per *Duration `json:"per,omitempty"`
}

// ClusterTokenProviderStatus says whether the description compiles.
type ClusterTokenProviderStatus struct {
	// conditions: Ready is True once the provider is compiled, else its message
	// gives the field, line and column of what did not.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that was last compiled.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// ClusterTokenProviderList is a list of ClusterTokenProviders.
//
// +kubebuilder:object:root=true
type ClusterTokenProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterTokenProvider `json:"items"`
}
