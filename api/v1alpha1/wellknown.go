// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

const (
	// RefreshAtAnnotation asks for one refresh now. Any value that differs from
	// status.lastHandledRefreshAt will do; a time is customary.
	RefreshAtAnnotation = "tokenkeeper.io/refreshAt"

	// TrustRestoredAnnotation says of a credential whose state was restored from a backup
	// that its refresh token was not used since. Any value that differs from the one that
	// was acted on before counts, once.
	TrustRestoredAnnotation = "tokenkeeper.io/trust-restored"

	// CredentialAnnotation names, on a state Secret, the credential it belongs
	// to. It is an annotation because a name may be longer than a label value.
	CredentialAnnotation = "tokenkeeper.io/credential"

	// TokenAnnotationPrefix, followed by a credential's UID, is the annotation of a
	// target that says which of the credential's tokens it holds: since when and
	// until when it is good, a digest of what it was asked from, and a keyed digest of
	// what was written. A restart needs no more to know a fresh credential.
	TokenAnnotationPrefix = "token.tokenkeeper.io/"

	// AttemptAnnotation is on a state Secret while an attempt is open there: when it
	// began.
	AttemptAnnotation = "tokenkeeper.io/attempt"

	// NudgedAtAnnotation is on a pod that mounts a target with nudgePods: when it was last
	// changed so that its kubelet looks at its volumes at once.
	NudgedAtAnnotation = "tokenkeeper.io/nudged-at"

	// ManagedByLabel marks what the operator wrote; its value is ManagedBy.
	ManagedByLabel = "app.kubernetes.io/managed-by"

	// ManagedBy is the value of ManagedByLabel.
	ManagedBy = "tokenkeeper"

	// StateSecretType is the type of the Secret that holds a credential's live
	// refresh token and its rotation state.
	StateSecretType = "tokenkeeper.io/token-state"

	// DigestKeySecretType is the type of the Secret in the operator's own namespace that
	// holds the key of its digests.
	DigestKeySecretType = "tokenkeeper.io/digest-key"

	// StateSecretSuffix is appended to a credential's name to name its state
	// Secret.
	StateSecretSuffix = "-token-state"
)
