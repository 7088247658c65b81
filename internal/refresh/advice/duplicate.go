// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
)

// Duplicate says that another credential works, or has worked, on the same token. Of
// another namespace no more is said than that.
func Duplicate(credential *v1alpha1.TokenCredential, twin *twins.Twin) *problem.Problem {
	say := func(format string, arguments ...any) *problem.Problem {
		return problem.New(v1alpha1.DuplicateSourceReason, format, arguments...)
	}
	who, where := "a TokenCredential in another namespace", "its state Secret"
	if twin.Namespace == credential.Namespace {
		who, where = fmt.Sprintf("the TokenCredential %q", twin.Credential), fmt.Sprintf("the state Secret %q", twin.StateSecret)
	}
	if !twin.Orphaned {
		does := "works on"
		if twin.Successor != "" {
			does = "has spent"
		}
		return say("%s %s the same refresh token, which is good for one of them: delete this one, or authorize once more and put a refresh token of its own into the Secret of spec.refreshTokenSecretRef%s", who, does, byCommand(credential))
	}
	const from = "from there into the Secret of spec.refreshTokenSecretRef, or delete that state Secret and authorize again"
	switch twin.Successor {
	case rotation.SuccessorLive:
		return say("the refresh token was spent by %s, which is gone; its successor is in %s: put the refresh_token %s", who, where, from)
	case rotation.SuccessorPrevious:
		return say("the refresh token was spent by %s, which is gone; its successor is in %s: put the previous_refresh_token %s", who, where, from)
	case rotation.SuccessorUnsure:
		return say("the refresh token was spent by %s, which is gone; %s may hold a later grant since: where it holds the same, put the refresh_token %s", who, where, from)
	case rotation.SuccessorLost:
		return say("the refresh token was spent by %s, which is gone, and its successor is lost: %s", who, reauthorize(credential))
	default:
		return say("the refresh token may have been spent by %s, which is gone: %s", who, reauthorize(credential))
	}
}
