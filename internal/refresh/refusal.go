// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"errors"
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// loadProblem says why a state cannot be used.
func loadProblem(err error, credential *v1alpha1.TokenCredential) error {
	name := credential.StateSecretName()
	switch {
	case errors.Is(err, rotation.ErrForeign):
		return problem.New(v1alpha1.TargetConflictReason,
			"the Secret %q has the name of this credential's state Secret and is none: delete or rename it, or rename the credential", name)
	case errors.Is(err, rotation.ErrUnreadable):
		return problem.New(v1alpha1.PersistBlockedReason,
			"the state Secret %q was changed by hand (%s): restore it; or put a new refresh token into the Secret of spec.refreshTokenSecretRef, and then delete it", name, problem.OneLine(err))
	case isTransient(err):
		return transient(err)
	default:
		return problem.New(v1alpha1.PersistBlockedReason, "%s: allow the operator to read the Secret %q; it is tried again", problem.OneLine(err), name)
	}
}

// saveProblem says what stands in the way of saving a state.
func saveProblem(err error, credential *v1alpha1.TokenCredential, called bool) error {
	if problem.Of(err) != nil {
		return err
	}
	if isTransient(err) {
		return transient(err)
	}
	consequence := "so the provider is not asked"
	if called {
		consequence = "so the provider is asked again"
	}
	return problem.New(v1alpha1.PersistBlockedReason, "%s, %s: see whether %s", problem.OneLine(err), consequence, whatForbids(credential))
}

// isTransient reports whether the API server could not serve a request, as against
// refusing it.
func isTransient(err error) bool {
	return errors.Is(err, rotation.ErrUnreachable) || errors.Is(err, rotation.ErrUnavailable)
}

func transient(err error) *problem.Problem {
	p := problem.New(v1alpha1.PersistBlockedReason, "%s: it is tried again", problem.OneLine(err))
	p.Transient = true
	return p
}

// whatForbids names what a person can look at where the state cannot be written.
func whatForbids(credential *v1alpha1.TokenCredential) string {
	return fmt.Sprintf("a quota, a policy, an admission webhook or its immutability forbids to change the Secret %q", credential.StateSecretName())
}
