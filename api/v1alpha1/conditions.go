// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of a TokenCredential. They follow kstatus: Ready and
// Refreshed are always present after the first reconcile, Reconciling and Stalled
// only while they are True.
const (
	// ReadyCondition is True while a token that has not expired is in the
	// target. A failed renewal does not clear it; expiry does. A
	// ClusterTokenProvider has it too: True once the provider is compiled.
	ReadyCondition = "Ready"

	// RefreshedCondition tells how the last attempt to refresh went.
	RefreshedCondition = "Refreshed"

	// ReconcilingCondition is True while work is under way or will be tried
	// again without anyone's help.
	ReconcilingCondition = "Reconciling"

	// StalledCondition is True when a person must act: nothing is tried again
	// until an input changes.
	StalledCondition = "Stalled"

	// WarningCondition is there, and True, while a ClusterTokenProvider compiles and
	// holds what is most likely a mistake. Ready stays True: credentials may use it.
	WarningCondition = "Warning"
)

// Reasons that describe a credential as it should be.
const (
	// TokenValidReason (Ready=True): the target holds a token that has not expired.
	TokenValidReason = "TokenValid"
	// RefreshedReason (Refreshed=True): the last attempt brought a token.
	RefreshedReason = "Refreshed"
	// AdoptedReason (Refreshed=True): a token was taken over from a kept state
	// Secret without a call.
	AdoptedReason = "Adopted"
	// PendingReason (Ready=False): no token is in the target yet, and nothing is wrong.
	PendingReason = "Pending"
	// SuspendedReason (Ready=False): spec.suspend is true and no valid token is
	// left.
	SuspendedReason = "Suspended"
	// TokenExpiredReason (Ready=False): the token in the target has expired, and
	// nothing is known to stand in the way of the next one.
	TokenExpiredReason = "TokenExpired"
	// CompiledReason (Ready=True of a ClusterTokenProvider): credentials may
	// use it.
	CompiledReason = "Compiled"
	// LikelyMistakeReason (Warning=True of a ClusterTokenProvider): the message names
	// each field, and what is odd about it.
	LikelyMistakeReason = "LikelyMistake"
)

// Reasons that lie in what the user wrote. All of them clear by themselves once
// the input is right.
const (
	// SecretNotFoundReason: a referenced Secret does not exist.
	SecretNotFoundReason = "SecretNotFound"
	// SecretKeyMissingReason: a referenced Secret lacks a key, or it is empty.
	SecretKeyMissingReason = "SecretKeyMissing"
	// ProviderNotFoundReason: spec.providerRef names no provider.
	ProviderNotFoundReason = "ProviderNotFound"
	// ProviderInvalidReason: the provider does not compile.
	ProviderInvalidReason = "ProviderInvalid"
	// InvalidParametersReason: a parameter or reference is missing, unknown, or
	// breaks the pattern its provider sets; or target.template does not compile.
	InvalidParametersReason = "InvalidParameters"
	// TargetConflictReason: the target Secret belongs to someone else, cannot be
	// changed, is of a type the operator never writes, or has another writer.
	TargetConflictReason = "TargetConflict"
	// EgressDeniedReason: the operator may not call the provider's address.
	EgressDeniedReason = "EgressDenied"
)

// Reasons that the provider gave. Each says that nothing was spent.
const (
	// ReauthorizationRequiredReason: the refresh token is no longer accepted; a
	// person must authorize again and seed the new token.
	ReauthorizationRequiredReason = "ReauthorizationRequired"
	// AppRejectedReason: the provider refused the app's key or secret.
	AppRejectedReason = "AppRejected"
	// RequestRejectedReason: the provider refused the request, or its reply held
	// no usable access token.
	RequestRejectedReason = "RequestRejected"
	// RateLimitedReason: the provider asked for fewer calls.
	RateLimitedReason = "RateLimited"
	// ProviderUnavailableReason: the provider could not be reached or could not
	// serve.
	ProviderUnavailableReason = "ProviderUnavailable"
)

// Reasons of the rotation protocol.
const (
	// OutcomeUnknownReason: a single-use token was sent and no clear answer
	// came; it may or may not be spent.
	OutcomeUnknownReason = "OutcomeUnknown"
	// PersistBlockedReason: the API server does not let the operator save, so
	// nothing is sent; or a rotated token waits in memory to be saved.
	PersistBlockedReason = "PersistBlocked"
	// RotatedTokenLostReason: the refresh token is spent and its successor is nowhere:
	// it never arrived, or the state Secret was deleted.
	RotatedTokenLostReason = "RotatedTokenLost"
	// DuplicateSourceReason: an older credential works on the same refresh token, or
	// one that is gone has spent it.
	DuplicateSourceReason = "DuplicateSource"
	// RestoredFromBackupReason: the state Secret is a copy of another one, or was put
	// back to an earlier revision, so its refresh token may be spent.
	RestoredFromBackupReason = "RestoredFromBackup"
)

// Reasons of events that are not reasons of a condition too.
const (
	// RefreshFailedEvent: an attempt failed after one that went well.
	RefreshFailedEvent = "RefreshFailed"
	// SeedAdoptedEvent: a new refresh token was taken from the user's Secret.
	SeedAdoptedEvent = "SeedAdopted"
	// SpentSeedIgnoredEvent: the user's Secret holds a token that was already
	// spent.
	SpentSeedIgnoredEvent = "SpentSeedIgnored"
	// TargetRepairedEvent: the target had drifted or vanished and was written
	// again from the state.
	TargetRepairedEvent = "TargetRepaired"
	// ShortLifetimeEvent: tokens live shorter than a kubelet needs to deliver
	// them to a mounted volume.
	ShortLifetimeEvent = "ShortLifetime"
	// LifetimeIgnoredEvent: the reply's lifetime could not be read and the
	// provider's default is used.
	LifetimeIgnoredEvent = "LifetimeIgnored"
	// RevokedEvent: the grant of a credential that is being deleted was revoked at its
	// provider.
	RevokedEvent = "Revoked"
	// RevocationFailedEvent: it could not be, and the credential was let go all the same.
	RevocationFailedEvent = "RevocationFailed"
	// PodsNotNudgedEvent: target.nudgePods is true, and the operator may not nudge pods.
	PodsNotNudgedEvent = "PodsNotNudged"
	// StatusRefusedEvent: the API server does not store the status, since it does not take
	// what it holds of the credential: an older CRD let that in.
	StatusRefusedEvent = "StatusRefused"
	// ImperfectReplyEvent: something else was wrong with a reply that brought a token.
	ImperfectReplyEvent = "ImperfectReply"
)

// RevokeFinalizer keeps a credential with spec.revokeOnDeletion until its grant is revoked.
const RevokeFinalizer = "tokenkeeper.io/revoke"
