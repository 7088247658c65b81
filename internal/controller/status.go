// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
)

// summarize writes what a visit found and did into the credential's status. It
// is the only place that does.
func (v *visit) summarize(told *problem) {
	status := &v.credential.Status
	v.recordObserved(status)
	v.recordToken(status)
	v.recordAttempt(status, told)
	status.NextRefreshTime = v.nextRefresh(status, told)
	v.setConditions(status, told)
}

// recordObserved notes what this visit looked at.
func (v *visit) recordObserved(status *v1alpha1.TokenCredentialStatus) {
	status.ObservedGeneration = v.credential.Generation
	if v.inputs != nil {
		if v.seed == rotation.SeedSpent && v.inputsChanged() {
			v.notify(spentSeedIgnored(v.credential))
		}
		status.ObservedInputs = v.inputs.digest
	}
	if v.record != nil && v.record.Exists() {
		status.StateSecret = &v1alpha1.StateSecretStatus{
			Name:            v.credential.StateSecretName(),
			ResourceVersion: v.record.ResourceVersion(),
			Seed:            v.record.State.Seed,
		}
		if v.keepsAccessToken() {
			status.RefreshTokenExpirationTime = timeOrNil(v.record.State.RefreshTokenExpiresAt)
		}
	}
	if status.Target != nil && v.upToDate() {
		status.Target.ResourceVersion = v.standing.ResourceVersion
	}
}

// upToDate tells whether the target was seen to hold what was last written.
func (v *visit) upToDate() bool { return v.standing != nil && v.standing.Exists && !v.standing.Drifted }

// recordToken notes the token that the target holds now.
func (v *visit) recordToken(status *v1alpha1.TokenCredentialStatus) {
	switch {
	case v.provider.Provider != nil && v.record != nil && v.keepsAccessToken():
		status.RefreshCount = v.record.State.Sequence
	case v.refreshed:
		status.RefreshCount++
	}
	if v.token == nil {
		return
	}
	if v.upToDate() && !v.unpublished {
		status.LastRefreshTime = timeOrNil(v.token.issuedAt)
		status.ExpirationTime = timeOrNil(v.token.expiresAt)
	}
}

// recordAttempt counts failures.
func (v *visit) recordAttempt(status *v1alpha1.TokenCredentialStatus, told *problem) {
	failed := told != nil && told.attempted
	if v.refreshed {
		v.Metrics.refreshed(v.provider.Name, v1alpha1.RefreshedReason)
	}
	switch {
	case failed:
		v.Metrics.refreshed(v.provider.Name, told.reason)
		status.FailedAttempts++
		status.LastFailureTime = &metav1.Time{Time: v.now}
	case told == nil:
		status.FailedAttempts = 0
	}
	if failed {
		v.ended = true
	}
	v.recordHandled(status)
}

// recordHandled echoes a refresh that was asked for, once its attempt has ended.
func (v *visit) recordHandled(status *v1alpha1.TokenCredentialStatus) {
	if v.ended {
		status.LastHandledRefreshAt = v.credential.Annotations[v1alpha1.RefreshAtAnnotation]
	}
}

// nextRefresh is when the provider will be called next, as far as that is
// planned.
func (v *visit) nextRefresh(status *v1alpha1.TokenCredentialStatus, told *problem) *metav1.Time {
	switch {
	case v.credential.Spec.Suspend:
		return nil
	case told == nil && status.ExpirationTime != nil && status.LastRefreshTime != nil:
		return timeOrNil(v.due(status.LastRefreshTime.Time, status.ExpirationTime.Time))
	case told == nil, told.stalled():
		return nil
	case told.attempted:
		return timeOrNil(schedule.RetryAt(v.now, status.FailedAttempts, told.retryAfter, string(v.credential.UID)))
	case told.standing:
		return status.NextRefreshTime
	default:
		return nil // an input that is missing wakes the credential when it comes
	}
}

// setConditions tells the four conditions from what the status says otherwise.
func (v *visit) setConditions(status *v1alpha1.TokenCredentialStatus, told *problem) {
	v.set(v.ready(status, told))
	if refreshed := v.refreshedCondition(status, told); refreshed.Reason != "" {
		v.set(refreshed)
	}
	stalled := told != nil && told.stalled()
	if stalled {
		v.set(metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: told.reason, Message: told.message})
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.StalledCondition)
	}
	switch {
	case told != nil && !stalled && told.reason != v1alpha1.SuspendedReason:
		v.set(metav1.Condition{Type: v1alpha1.ReconcilingCondition, Status: metav1.ConditionTrue, Reason: told.reason, Message: told.message})
	case told == nil && status.LastRefreshTime == nil:
		v.set(metav1.Condition{Type: v1alpha1.ReconcilingCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.PendingReason, Message: "the first token is on its way"})
	default:
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ReconcilingCondition)
	}
}

// ready: a token that has not expired is in the target now.
func (v *visit) ready(status *v1alpha1.TokenCredentialStatus, told *problem) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse}
	expires := status.ExpirationTime
	switch {
	case expires != nil && v.now.Before(expires.Time) && v.inPlace(told):
		condition.Status = metav1.ConditionTrue
		condition.Reason = v1alpha1.TokenValidReason
		condition.Message = fmt.Sprintf("the Secret %q holds a token that expires at %s", v.credential.TargetName(), rfc3339(expires.Time))
		if told != nil && told.reason != v1alpha1.SuspendedReason { // seen in the list, before it expires
			condition.Message += "; it is not renewed: " + told.message
		}
	case told != nil && slices.Contains(readyReasons, told.reason):
		condition.Reason, condition.Message = told.reason, told.message
	case expires != nil && !v.now.Before(expires.Time):
		condition.Reason = v1alpha1.TokenExpiredReason
		condition.Message = "the token expired at " + rfc3339(expires.Time)
	default:
		condition.Reason = v1alpha1.PendingReason
		condition.Message = "no token has been obtained yet"
	}
	if told != nil && (condition.Reason == v1alpha1.TokenExpiredReason || condition.Reason == v1alpha1.PendingReason) {
		condition.Message += ": " + told.message
	}
	return condition
}

// inPlace tells whether the target holds the token. A visit that never got as
// far as the target takes it to stand as it was.
func (v *visit) inPlace(told *problem) bool {
	switch {
	case v.standing != nil:
		return v.upToDate()
	case told != nil && told.noTarget:
		return false
	default:
		return v.credential.Status.Target != nil
	}
}

// refreshedCondition: how the last attempt went. Without a reason it stays as it
// is.
func (v *visit) refreshedCondition(status *v1alpha1.TokenCredentialStatus, told *problem) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionFalse}
	before := meta.FindStatusCondition(status.Conditions, v1alpha1.RefreshedCondition)
	switch {
	case told != nil && told.reason == v1alpha1.SuspendedReason:
		if before == nil {
			condition.Status, condition.Reason = metav1.ConditionUnknown, v1alpha1.PendingReason
			condition.Message = "nothing has been tried yet"
		}
	case told != nil:
		condition.Reason, condition.Message = told.reason, told.message
	case status.LastRefreshTime == nil:
		if before == nil {
			condition.Status, condition.Reason = metav1.ConditionUnknown, v1alpha1.PendingReason
			condition.Message = "nothing has been tried yet"
		}
	default:
		condition.Status = metav1.ConditionTrue
		condition.Reason = v1alpha1.RefreshedReason
		if !v.refreshed && (before == nil || before.Reason == v1alpha1.AdoptedReason) {
			condition.Reason = v1alpha1.AdoptedReason
		}
		condition.Message = "the token in the target was obtained at " + rfc3339(status.LastRefreshTime.Time)
	}
	return condition
}

func (v *visit) set(condition metav1.Condition) {
	const longest = 32 << 10 // what the API server allows
	condition.ObservedGeneration = v.credential.Generation
	condition.Message = condition.Message[:min(len(condition.Message), longest)]
	condition.Reason = cmp.Or(condition.Reason, v1alpha1.PendingReason)
	condition.LastTransitionTime = metav1.Time{Time: v.now}
	meta.SetStatusCondition(&v.credential.Status.Conditions, condition)
}

// dueNotices are the events that this visit's transition calls for.
func (v *visit) dueNotices(before *v1alpha1.TokenCredentialStatus, told *problem) []notice {
	due := v.notices
	was := meta.FindStatusCondition(before.Conditions, v1alpha1.RefreshedCondition)
	failedBefore := was != nil && was.Status == metav1.ConditionFalse
	if v.refreshed && (before.RefreshCount == 0 || failedBefore) {
		due = append(due, refreshedNotice(v.credential, v.token.expiresAt))
	}
	if v.refreshed {
		if lifetime := v.token.expiresAt.Sub(v.token.issuedAt); lifetime < schedule.ShortLifetime && !wasShort(before) {
			due = append(due, shortLifetime(lifetime))
		}
	}
	if v.repaired {
		due = append(due, targetRepaired(v.credential))
	}
	if told != nil && !told.standing && told.reason != v1alpha1.SuspendedReason && (!failedBefore || was.Reason != told.reason) {
		due = append(due, failureNotice(told))
	}
	return due
}

// wasShort tells whether the token before this one was short-lived already.
func wasShort(before *v1alpha1.TokenCredentialStatus) bool {
	return before.LastRefreshTime != nil && before.ExpirationTime != nil &&
		before.ExpirationTime.Sub(before.LastRefreshTime.Time) < schedule.ShortLifetime
}

func timeOrNil(moment time.Time) *metav1.Time {
	if moment.IsZero() {
		return nil
	}
	return &metav1.Time{Time: moment.UTC().Truncate(time.Second)}
}

func rfc3339(moment time.Time) string { return moment.UTC().Format(time.RFC3339) }
