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
	// without a person.
	// +optional
	LoginSecretRef *LoginSecretReference `json:"loginSecretRef,omitempty"`

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

	// suspend stops all calls to the provider while it is true. The target is
	// left as it is.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

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

// LoginSecretReference names the Secret with what the login step needs; its
// keys are those that the provider lists in spec.inputs.login.
type LoginSecretReference struct {
	// name of the Secret.
	// +required
	Name SecretName `json:"name,omitempty"`
}

// Renewal says when a token is renewed: at the earlier of the two moments.
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

// CreationPolicy says who owns the target Secret.
// +kubebuilder:validation:Enum=Owner;Merge
type CreationPolicy string

const (
	// OwnerPolicy creates the target and owns it: it goes when the credential
	// goes.
	OwnerPolicy CreationPolicy = "Owner"
	// MergePolicy adds the credential's keys to a Secret that exists, and
	// leaves its other keys alone.
	MergePolicy CreationPolicy = "Merge"
)

// Target says where the access token goes.
type Target struct {
	// name of the target Secret. Default: the credential's own name. Immutable.
	// +optional
	Name SecretName `json:"name,omitempty"`

	// creationPolicy says who owns the target: Owner creates it and deletes it
	// with the credential, Merge adds keys to a Secret that exists.
	// +optional
	// +kubebuilder:default=Owner
	CreationPolicy CreationPolicy `json:"creationPolicy,omitempty"`

	// template shapes the target. Default: an Opaque Secret with access_token,
	// token_type, expires_at and each output of the provider.
	// +optional
	Template *TargetTemplate `json:"template,omitempty"`
}

// TargetTemplate shapes the target Secret.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'kubernetes.io/dockerconfigjson' || (has(self.data) && '.dockerconfigjson' in self.data)",message="a target of type kubernetes.io/dockerconfigjson needs data['.dockerconfigjson']"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'kubernetes.io/basic-auth' || (has(self.data) && ('username' in self.data || 'password' in self.data))",message="a target of type kubernetes.io/basic-auth needs data.username or data.password"
type TargetTemplate struct {
	// type of the target Secret. With creationPolicy Merge it is ignored.
	// +optional
	// +kubebuilder:default=Opaque
	// +kubebuilder:validation:Enum=Opaque;kubernetes.io/dockerconfigjson;kubernetes.io/basic-auth
	Type string `json:"type,omitempty"`

	// metadata is added to the target's own.
	// +optional
	Metadata TargetMetadata `json:"metadata,omitzero"`

	// data of the target. A value may hold ${...} expressions over accessToken,
	// tokenType, expiresAt, outputs and parameters, such as
	// "Bearer ${accessToken}".
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.matches('^[-._a-zA-Z0-9]{1,253}$'))",message="a key of data may hold at most 253 letters, digits, '-', '_' and '.'"
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(self[key]) <= 8192)",message="a value of data must be at most 8192 characters"
	// +kubebuilder:validation:XValidation:rule="self.map(key, size(self[key])).sum() <= 65536",message="the values of data must be at most 65536 characters together"
	Data map[string]string `json:"data,omitempty"`
}

// TargetMetadata is added to the target's own metadata.
type TargetMetadata struct {
	// labels to add.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.matches('^[-._/a-zA-Z0-9]+$'))",message="write a label's key like app or example.com/app"
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(self[key]) <= 63)",message="a label's value must be at most 63 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.matches('(?i)^([^/]*[.])?(tokenkeeper|kubernetes|k8s)[.]io/') || key.matches('(?i)^app[.]kubernetes[.]io/') || key == 'kubernetes.io/description')",message="a template sets no label of tokenkeeper.io, kubernetes.io or k8s.io, but for app.kubernetes.io/... and kubernetes.io/description"
	Labels map[string]string `json:"labels,omitempty"`

	// annotations to add.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.matches('^[-._/a-zA-Z0-9]+$'))",message="write an annotation's key like note or example.com/note"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.matches('(?i)^([^/]*[.])?(tokenkeeper|kubernetes|k8s)[.]io/') || key.matches('(?i)^app[.]kubernetes[.]io/') || key == 'kubernetes.io/description')",message="a template sets no annotation of tokenkeeper.io, kubernetes.io or k8s.io, but for app.kubernetes.io/... and kubernetes.io/description"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// TokenCredentialStatus says what the operator last saw and did.
type TokenCredentialStatus struct {
	// conditions: Ready (a token that has not expired is in the target),
	// Refreshed (how the last attempt went), Reconciling (more is to come by
	// itself) and Stalled (a person must act).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that was last acted on.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastRefreshTime is when the token in the target was obtained.
	// +optional
	LastRefreshTime *metav1.Time `json:"lastRefreshTime,omitempty"`

	// expirationTime is when the token in the target expires.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// nextRefreshTime is when the provider will be called next; absent while
	// nothing is planned.
	// +optional
	NextRefreshTime *metav1.Time `json:"nextRefreshTime,omitempty"`

	// refreshTokenExpirationTime is when the refresh token expires, when known.
	// +optional
	RefreshTokenExpirationTime *metav1.Time `json:"refreshTokenExpirationTime,omitempty"`

	// refreshCount is the number of tokens obtained over the credential's life.
	// +optional
	RefreshCount int64 `json:"refreshCount,omitempty"`

	// failedAttempts is the number of attempts that failed since the last one
	// that went well. It drives the backoff.
	// +optional
	FailedAttempts int32 `json:"failedAttempts,omitempty"`

	// lastFailureTime is when the last of them failed.
	// +optional
	LastFailureTime *metav1.Time `json:"lastFailureTime,omitempty"`

	// lastAttempt is how the last attempt to renew the token ended. Whether the next
	// one is made rests on it, after a restart too; conditions are computed from it.
	// +optional
	LastAttempt *AttemptStatus `json:"lastAttempt,omitempty"`

	// lastHandledRefreshAt echoes the annotation tokenkeeper.io/refreshAt once
	// the refresh it asked for has ended, whichever way.
	// +optional
	LastHandledRefreshAt string `json:"lastHandledRefreshAt,omitempty"`

	// observedInputs is a digest of the versions of the provider and of the
	// referenced Secrets, and of what spec asks of them, at the last reconcile. While
	// it is the same, and the two Secrets below are as they were written, nothing has
	// to be read again. It is empty while not all could be read or written.
	// +optional
	ObservedInputs string `json:"observedInputs,omitempty"`

	// target is the Secret that pods mount.
	// +optional
	Target *TargetStatus `json:"target,omitempty"`

	// stateSecret is the Secret that holds the live refresh token.
	// +optional
	StateSecret *StateSecretStatus `json:"stateSecret,omitempty"`
}

// TargetStatus is the target Secret as it was last written.
type TargetStatus struct {
	// name of the Secret.
	// +required
	Name string `json:"name,omitempty"`

	// resourceVersion of the Secret when it was last written or compared.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// AttemptStatus is how an attempt to renew the token ended.
type AttemptStatus struct {
	// reason is Refreshed, or why there is no new token: a reason of the condition
	// Refreshed.
	// +required
	Reason string `json:"reason,omitempty"`

	// message says why there is no new token, and what to do next; or what was wrong
	// with the reply that brought one.
	// +optional
	Message string `json:"message,omitempty"`

	// time at which it ended.
	// +required
	Time metav1.Time `json:"time,omitzero"`

	// inputs is the digest of what it was made with, as in observedInputs. When that
	// differs now, what the attempt failed for may have been mended.
	// +optional
	Inputs string `json:"inputs,omitempty"`
}

// StateSecretStatus is the state Secret as it was last written.
type StateSecretStatus struct {
	// name of the Secret.
	// +required
	Name string `json:"name,omitempty"`

	// resourceVersion of the Secret when it was last written or read.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`

	// seed is a keyed digest of the user's refresh token that was last adopted. It keeps
	// a token that was spent from being sent again after the Secret was deleted.
	// +optional
	Seed string `json:"seed,omitempty"`
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
