// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

	// prepare lists calls that are made before refresh or login, in this order,
	// such as for an app's token, a session, or a discovery document. Each gives
	// outputs, which the calls after it use as outputs.<name> during the same
	// exchange. They are neither kept nor published. A prepare call spends nothing:
	// where it fails, no refresh token has been sent.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule="self.all(call, has(call.response) && has(call.response.outputs) && size(call.response.outputs) > 0)",message="a call of prepare is for its outputs: write response.outputs"
	// +kubebuilder:validation:XValidation:rule="self.all(call, !has(call.response) || !has(call.response.accessToken) && !has(call.response.refreshToken))",message="a call of prepare brings no token to publish: write response.outputs in place of accessToken and refreshToken"
	Prepare []ProviderCall `json:"prepare,omitempty"`

	// refresh is the call that turns a refresh token into an access token.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.response) && has(self.response.accessToken)",message="say where the reply holds the access token: write response.accessToken, such as body.access_token"
	Refresh *ProviderCall `json:"refresh,omitempty"`

	// login is the call that gets the first token, and the next one after the
	// refresh token is no longer accepted. A provider without refresh tokens
	// has only this.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.response) && has(self.response.accessToken)",message="say where the reply holds the access token: write response.accessToken, such as body.access_token"
	Login *ProviderCall `json:"login,omitempty"`

	// finish lists calls that are made after refresh or login, in this order, once
	// what those brought has been saved: a second hop, such as an exchange of the
	// access token for another one. Their requests see the new accessToken,
	// refreshToken and outputs. What they give (accessToken, tokenType, expiresIn,
	// expiresAt, outputs) is published in place of what came before. Where one fails
	// it alone is tried again: no refresh token is lost, nor spent anew.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule="self.all(call, has(call.response) && (has(call.response.accessToken) || has(call.response.outputs)))",message="a call of finish is for what it brings: write response.accessToken, response.outputs or both"
	// +kubebuilder:validation:XValidation:rule="self.all(call, !has(call.response) || !has(call.response.refreshToken))",message="a call of finish comes after the refresh token has been saved: map refreshToken in refresh or login"
	Finish []ProviderCall `json:"finish,omitempty"`

	// revoke is the call that ends a grant (RFC 7009). It is made when a credential
	// that says revokeOnDeletion is deleted. Its reply says only whether it went
	// well; by default any 2xx status did.
	// +optional
	Revoke *ProviderCall `json:"revoke,omitempty"`

	// authorize says how a person grants access, for "kubectl tokencredential login".
	// The operator itself never uses it.
	// +optional
	Authorize *ProviderAuthorize `json:"authorize,omitempty"`

	// rotation says what becomes of a refresh token that was used.
	// +optional
	// +kubebuilder:default={}
	Rotation Rotation `json:"rotation,omitzero"`

	// lifetime holds where a reply states none.
	// +optional
	Lifetime Lifetimes `json:"lifetime,omitzero"`

	// renewal bounds when the provider may be asked for the next token.
	// +optional
	Renewal ProviderRenewal `json:"renewal,omitzero"`

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

// ProviderRenewal bounds when a provider may be asked for the next token.
type ProviderRenewal struct {
	// earliestPercentage of the access token's lifetime, 0 to 99, before which the
	// provider refuses to renew it. No credential renews earlier, whatever its own
	// renewal says. Default: 0, any time.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	EarliestPercentage int32 `json:"earliestPercentage,omitempty"`
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
	// gives the field, line and column of what did not. Warning is there while
	// the provider compiles and holds what is most likely a mistake.
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
