// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// problem is why a credential is not as it should be: a reason of the API and a
// message for people, which says what happened and what to do next, and never
// holds any part of a secret.
type problem struct {
	reason  string
	message string
	// attempted is true where the provider was asked, or was about to be: it
	// counts as a failed attempt and is tried again after a backoff.
	attempted bool
	// retryAfter is the least pause that the provider asked for.
	retryAfter time.Duration
	// standing is true for a problem of an earlier visit that has not changed.
	standing bool
	// noTarget is true where the Secret that is to hold the token is missing, or
	// is not the credential's to write.
	noTarget bool
}

func (p *problem) Error() string { return p.reason + ": " + p.message }

func problemf(reason, format string, args ...any) *problem {
	return &problem{reason: reason, message: fmt.Sprintf(format, args...)}
}

// stalled tells whether a person must act: nothing is tried again until an input
// changes.
func (p *problem) stalled() bool { return slices.Contains(stallingReasons, p.reason) }

var stallingReasons = []string{
	v1alpha1.ReauthorizationRequiredReason,
	v1alpha1.AppRejectedReason,
	v1alpha1.OutcomeUnknownReason,
	v1alpha1.RotatedTokenLostReason,
	v1alpha1.DuplicateSourceReason,
	v1alpha1.RestoredFromBackupReason,
	v1alpha1.TargetConflictReason,
	v1alpha1.InvalidParametersReason,
	v1alpha1.ProviderInvalidReason,
}

// inputReasons are the reasons that lie in what the user wrote. Each visit finds
// them anew before it does anything else.
var inputReasons = []string{
	v1alpha1.SecretNotFoundReason,
	v1alpha1.SecretKeyMissingReason,
	v1alpha1.ProviderNotFoundReason,
	v1alpha1.ProviderInvalidReason,
	v1alpha1.InvalidParametersReason,
	v1alpha1.TargetConflictReason,
}

// providerReasons are the failures of an exchange that are tried again. What kept
// a token from the target is none of them: that never calls a provider again.
var providerReasons = []string{
	v1alpha1.ProviderUnavailableReason,
	v1alpha1.RateLimitedReason,
	v1alpha1.RequestRejectedReason,
	v1alpha1.EgressDeniedReason,
}

// readyReasons are the reasons that Ready=False takes from a problem as they
// are. Of any other problem Ready says only that there is no token: the rest is
// for Refreshed.
var readyReasons = []string{
	v1alpha1.SecretNotFoundReason,
	v1alpha1.SecretKeyMissingReason,
	v1alpha1.ProviderNotFoundReason,
	v1alpha1.ProviderInvalidReason,
	v1alpha1.InvalidParametersReason,
	v1alpha1.TargetConflictReason,
	v1alpha1.SuspendedReason,
	v1alpha1.ReauthorizationRequiredReason,
	v1alpha1.AppRejectedReason,
	v1alpha1.OutcomeUnknownReason,
}

// pause asks for another visit without anything to tell: somebody else is at
// work, or the provider's limit is reached.
type pause struct {
	until time.Time
	why   string
}

func (p *pause) Error() string { return p.why }
