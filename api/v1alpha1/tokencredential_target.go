// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

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

	// nudgePods, when true, has the pods that mount the target as a volume see a
	// new token within seconds, where a kubelet takes up to 90: the operator sets
	// the annotation tokenkeeper.io/nudged-at on each of them, once for each
	// token. It restarts nothing. The operator needs its flag --nudge-pods for
	// it, and whoever sets this field the right to patch pods.
	// +optional
	NudgePods bool `json:"nudgePods,omitempty"`
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
