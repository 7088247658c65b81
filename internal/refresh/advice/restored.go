// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// Restored says that the state is a copy, or was put back to an earlier revision; or, where
// there is none, that the seed is from before the cluster was put back.
func Restored(credential *v1alpha1.TokenCredential, hasState bool) *problem.Problem {
	trust := "annotate this TokenCredential with " + v1alpha1.TrustRestoredAnnotation + " and a new value"
	if !hasState {
		return problem.New(v1alpha1.RestoredFromBackupReason,
			"the cluster was restored from a backup, and the refresh token in the Secret of spec.refreshTokenSecretRef is from before that, so it may have been spent since: %s; or, if you know that it was not used since, %s",
			reauthorize(credential), trust)
	}
	otherWay := "put the copy's own refresh_token there"
	if ref := credential.Spec.RefreshTokenSecretRef; ref != nil && ref.WriteBack { // which puts it there whoever knows what
		otherWay += " and set spec.refreshTokenSecretRef.writeBack to false"
	}
	return problem.New(v1alpha1.RestoredFromBackupReason,
		"the Secret %q was restored from a backup or carried over from another cluster, so its refresh token may have been spent since: %s; or, if you know that it was not used since, %s, or %s",
		credential.StateSecretName(), reauthorize(credential), otherWay, trust)
}
