// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
)

// facts gathers what decide rests on.
func (v *visit) facts() facts {
	status := &v.credential.Status
	issued, expires := v.validity()
	recovery := rotation.Nothing
	if attempt := v.record.State.Attempt; attempt != nil && v.singleUse() {
		recovery = v.recoveryOf(attempt)
	}
	due := schedule.StartAt(issued, v.due(issued, expires), string(v.credential.UID))
	if schedule.FromFuture(issued, v.now) { // it may expire long before that
		due = v.now
	}
	f := facts{
		now:            v.now,
		hasToken:       !expires.IsZero(),
		due:            due,
		seedIsNew:      v.seed == rotation.SeedNew,
		sourceChanged:  v.token != nil && v.record.State.Source != v.source,
		corrected:      v.corrected(),
		requested:      v.credential.RefreshRequested(),
		targetNeedsOne: v.standing.Drifted && v.token == nil,
		recovery:       recovery,
		restored:       v.singleUse() && v.record.Copied,
		lost:           v.singleUse() && v.record.State.Lost() && !v.canLogin(),
		stalled:        v.wasStalled(),
		changed:        v.inputsChanged() || status.ObservedGeneration != v.credential.Generation,
	}
	if status.FailedAttempts > 0 && status.NextRefreshTime != nil {
		if !notedInFuture(status, v.now) && !v.Hosts.Admitted(client.ObjectKeyFromObject(v.credential)) {
			f.retryAt = status.NextRefreshTime.Time
		}
		f.failed = isReason(standingProblem(v.credential), providerReasons...)
	}
	return f
}

// notedInFuture tells whether the status was written while a clock was wrong.
func notedInFuture(status *v1alpha1.TokenCredentialStatus, now time.Time) bool {
	return slices.ContainsFunc([]*metav1.Time{status.LastRefreshTime, status.LastFailureTime}, func(noted *metav1.Time) bool {
		return noted != nil && schedule.FromFuture(noted.Time, now)
	})
}

// recoveryOf decides what becomes of an attempt, as things stand now.
func (v *visit) recoveryOf(attempt *rotation.Attempt) rotation.Recovery {
	name := client.ObjectKeyFromObject(v.credential)
	state := v.record.State
	state.Attempt = attempt
	return state.Recover(rotation.Observer{
		Now:         v.Clock.Now(),
		SeenSince:   v.attempts.seenSince(name, attempt, v.Clock),
		HolderGone:  attempt.Holder == v.Holder || v.Spool.Predecessor(attempt.Holder, v.Holder),
		NeverSent:   attempt.Holder == v.Holder && v.attempts.isUnsent(name, attempt.ID),
		ReuseWindow: v.provider.Rotation.ReuseWindow,
		Policy:      v.unknownOutcomePolicy(),
	})
}

// wasStalled tells whether the provider's last answer needs a person. What was
// wrong with the inputs is found anew at each visit, and does not count here.
func (v *visit) wasStalled() bool {
	stalled := meta.FindStatusCondition(v.credential.Status.Conditions, v1alpha1.StalledCondition)
	if stalled == nil {
		return false
	}
	switch stalled.Reason {
	case v1alpha1.TargetConflictReason, v1alpha1.InvalidParametersReason, v1alpha1.ProviderInvalidReason:
		return false
	case v1alpha1.OutcomeUnknownReason: // another process may have ended the attempt, or this one knows that it was never sent
		attempt := v.record.State.Attempt
		return attempt != nil && v.recoveryOf(attempt) != rotation.Nothing
	case v1alpha1.RotatedTokenLostReason:
		return v.record.State.Lost()
	case v1alpha1.ReauthorizationRequiredReason: // another process may have got on
		return !v.singleUse() || v.record.State.Sequence == v.credential.Status.RefreshCount
	case v1alpha1.DuplicateSourceReason: // it has a token of its own since
		return v.record.State.Untried()
	}
	return true
}

// corrected tells whether a person had to act and a Secret or the provider has
// changed since.
func (v *visit) corrected() bool { return v.wasStalled() && v.inputsChanged() }

// standingProblem is the problem of an earlier visit, as it was told then.
func standingProblem(credential *v1alpha1.TokenCredential) error {
	told := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.RefreshedCondition)
	if told == nil || told.Status != metav1.ConditionFalse {
		return nil
	}
	return &problem{reason: told.Reason, message: told.Message, standing: true}
}

// validity of the current token: from the state where the token itself is kept
// there, else from the status.
func (v *visit) validity() (issued, expires time.Time) {
	if v.token != nil {
		return v.token.issuedAt, v.token.expiresAt
	}
	status := v.credential.Status
	if v.keepsAccessToken() || status.LastRefreshTime == nil || status.ExpirationTime == nil {
		return time.Time{}, time.Time{}
	}
	return status.LastRefreshTime.Time, status.ExpirationTime.Time
}

// due is when the current token is to be renewed.
func (v *visit) due(issued, expires time.Time) time.Time {
	renewal := schedule.Renewal{
		Percentage: v.credential.Spec.Renewal.Percentage,
		Before:     v.credential.Spec.Renewal.Before.OrDefault(0),
	}
	return schedule.RefreshAt(schedule.Token{IssuedAt: issued, ExpiresAt: expires}, renewal, string(v.credential.UID))
}

// keepsAccessToken tells whether the state holds the access token: where asking
// again would spend something, or where a request builds on the last reply.
func (v *visit) keepsAccessToken() bool {
	return v.singleUse() || v.provider.RemembersReply
}

func (v *visit) singleUse() bool {
	return v.provider.Rotation.Mode == v1alpha1.SingleUse && v.provider.Refresh != nil
}

// behind tells whether the state holds a token that the status does not know of:
// a commit whose publication was cut off, or a state that was kept when its
// credential was deleted.
func (v *visit) behind() bool {
	last := v.credential.Status.LastRefreshTime
	return last == nil || !last.Time.Equal(v.token.issuedAt)
}

func (v *visit) inputsChanged() bool { return v.credential.Status.ObservedInputs != v.inputs.digest }

func (v *visit) canLogin() bool { return v.provider.Login != nil && v.inputs.loginMissing == nil }

func (v *visit) unknownOutcomePolicy() v1alpha1.UnknownOutcomePolicy {
	if policy := v.credential.Spec.OnUnknownOutcome; policy != "" {
		return policy
	}
	return v.provider.Rotation.OnUnknownOutcome
}

// sourceDigest names what tokens are asked from: the provider and its
// parameters.
func sourceDigest(ref v1alpha1.ProviderReference, parameters map[string]string) string {
	encoded, err := json.Marshal([]any{ref.Kind, ref.Name, parameters})
	if err != nil { // Strings and maps of strings always encode.
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}
