// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

const aboutStalls = "`Stalled` is True where nothing goes on without a person. " +
	"The condition's message names the step; a test takes it and sees the credential Ready again. " +
	"The [user guide](user-guide.md#conditions-and-reasons) tells of each reason."

// stalls are the reasons of the condition Stalled, and the steps that end them.
// Where there are two ways out of one there are two rows.
func stalls() []Fault {
	const seed = "put the new refresh token into the Secret of `spec.refreshTokenSecretRef`"
	return []Fault{
		{"ReauthorizationRequired", "authorize again and " + seed},
		{"AppRejected", "correct the app's key and secret in the Secret of `spec.appSecretRef`, or the login in that of `spec.loginSecretRef`"},
		{"OutcomeUnknown, and you can authorize again", "authorize again and " + seed},
		{"OutcomeUnknown, and the provider merely refuses a spent token", "set `spec.onUnknownOutcome` to `RetryOnce`: the token is sent once more"},
		{"RotatedTokenLost", "authorize again and " + seed},
		{"DuplicateSource, and one credential is enough", "delete the one that has stalled"},
		{"DuplicateSource, and two are needed", "authorize once more and put a refresh token of its own into the Secret of its `spec.refreshTokenSecretRef`"},
		{"RestoredFromBackup", "authorize again and " + seed},
		{"RestoredFromBackup, and the copy was not used since", "put the copy's own `refresh_token` into the Secret of `spec.refreshTokenSecretRef`"},
		{"TargetConflict", "delete the Secret that stands in the way, name another target, or set `spec.target.creationPolicy` to `Merge`"},
		{"InvalidParameters", "write what the message says into `spec.parameters`, the reference or the template that it names"},
		{"ProviderInvalid", "the admin corrects the ClusterTokenProvider: its own status says where"},
	}
}
