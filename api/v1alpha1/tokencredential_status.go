// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

	// refusedToken is a keyed digest of the refresh token that the provider did not accept
	// any more. What is said of it holds as long as it is the live one.
	// +optional
	RefusedToken string `json:"refusedToken,omitempty"`
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
