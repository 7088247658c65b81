// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Last is how the last attempt ended, by the status; inputs are what an attempt would
// be made with now.
func Last(known *v1alpha1.TokenCredentialStatus, inputs string) Attempt {
	last := known.LastAttempt
	if last == nil || last.Reason == v1alpha1.RefreshedReason {
		return Attempt{}
	}
	attempt := Attempt{Stalled: problem.Stalls(last.Reason), Mended: last.Inputs != inputs}
	attempt.Failed = !attempt.Stalled
	if known.NextRefreshTime != nil {
		attempt.RetryAt = known.NextRefreshTime.Time
	}
	return attempt
}

// IsOutdated reports whether things have moved on since the last attempt that the
// status knows of: another process, or this one before it died or while it could not
// save, has got further. Where the state counts what was obtained (counts), its
// sequence says so; else the token alone does. A failure that lies ahead of now is dated by a
// clock that was wrong, and may have been before any token.
func IsOutdated(known *v1alpha1.TokenCredentialStatus, current token.Validity, found Found, now time.Time) bool {
	last := known.LastAttempt
	if last == nil {
		return false
	}
	if found.Counts && found.State.Sequence > known.RefreshCount && !found.Refused {
		return true
	}
	noted, isSince := known.LastRefreshTime, current.IssuedAt.Unix() >= last.Time.Unix() || schedule.FromFuture(last.Time.Time, now)
	if !current.IsZero() && (noted == nil || noted.Unix() != current.IssuedAt.Unix()) && isSince {
		return true
	}
	switch last.Reason {
	case v1alpha1.OutcomeUnknownReason: // it was resolved, or is known never to have been sent
		return found.Recovery == recovery.Nothing
	case v1alpha1.RotatedTokenLostReason:
		return !found.State.Lost()
	case v1alpha1.ReauthorizationRequiredReason: // another process had its successor already
		return found.Replaced
	case v1alpha1.RestoredFromBackupReason: // its state was deleted, and what is left is not sent
		return found.NoRefreshToken || found.State.Lost()
	case v1alpha1.DuplicateSourceReason: // it has a token of its own since
		return !found.State.Untried()
	}
	return false
}

// Found is what the state says of earlier attempts.
type Found struct {
	State    rotation.State
	Recovery recovery.Verdict
	// Replaced is true where another token is the live one than the last attempt was refused.
	Replaced bool
	// Refused is true where the live token is the one that the last attempt was refused, and
	// the state does not tell: what the status has not counted yet came before that.
	Refused bool
	// NoRefreshToken is true where neither the state nor the user has one.
	NoRefreshToken bool
	// Counts is true where the state counts the tokens that were obtained.
	Counts bool
}

// IsFromFuture reports whether a status was written while a clock was wrong: times
// derived from it are ignored.
func IsFromFuture(known *v1alpha1.TokenCredentialStatus, now time.Time) bool {
	return slices.ContainsFunc([]*metav1.Time{known.LastRefreshTime, known.LastFailureTime}, func(noted *metav1.Time) bool {
		return noted != nil && schedule.FromFuture(noted.Time, now)
	})
}
