// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// maxMessage bounds what a condition says, in bytes: long enough for two problems
// with their remedies, and nobody reads on after that.
const maxMessage = 1 << 10

// setConditions computes the four conditions from the rest of the new status and
// from what the report says.
func setConditions(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, problems []*problem.Problem, now time.Time) {
	setReadyOf(next, credential, report, problems, now)
	setRefreshed(next, credential, report, problems, now)
	var stalled *problem.Problem
	for _, p := range problems {
		if stalled == nil && p.Stalls() {
			stalled = p
		}
	}
	switch {
	case stalled != nil:
		set(next, credential, now, v1alpha1.StalledCondition, metav1.ConditionTrue, stalled.Reason, messageOf(problems))
	default:
		meta.RemoveStatusCondition(&next.Conditions, v1alpha1.StalledCondition)
	}
	switch {
	case stalled == nil && len(problems) > 0:
		set(next, credential, now, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, problems[0].Reason, messageOf(problems))
	case stalled == nil && !report.Suspended && next.LastRefreshTime == nil:
		set(next, credential, now, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.PendingReason, "the first token is on its way")
	default:
		meta.RemoveStatusCondition(&next.Conditions, v1alpha1.ReconcilingCondition)
	}
}

// setReadyOf sets Ready from a report.
func setReadyOf(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, problems []*problem.Problem, now time.Time) {
	if report.Suspended && len(problems) == 0 {
		problems = []*problem.Problem{suspended()}
	}
	if report.Notice != nil {
		problems = append(problems[:len(problems):len(problems)], report.Notice)
	}
	setReady(next, credential, problems, now)
}

// setReady sets Ready: a token that has not expired is in the target now. While it
// is, what keeps it from being renewed is said beside it.
func setReady(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, problems []*problem.Problem, now time.Time) {
	expires := next.ExpirationTime
	expired := expires != nil && !now.Before(expires.Time)
	inPlace := next.Target != nil && next.Target.ResourceVersion != ""
	ready, reason := metav1.ConditionFalse, v1alpha1.PendingReason
	var message string
	switch {
	case expires != nil && !expired && inPlace:
		ready, reason = metav1.ConditionTrue, v1alpha1.TokenValidReason
		message = fmt.Sprintf("the Secret %q holds a token that expires at %s", credential.TargetName(), rfc3339(expires.Time))
		if len(problems) > 0 && problems[0].Reason != v1alpha1.SuspendedReason {
			message += "; " + messageOf(problems)
		}
	case expired:
		reason = v1alpha1.TokenExpiredReason
		message = "the token expired at " + rfc3339(expires.Time)
	case expires != nil:
		message = fmt.Sprintf("the Secret %q does not hold the token that was obtained at %s", credential.TargetName(), rfc3339(next.LastRefreshTime.Time))
	default:
		message = "no token has been obtained yet"
	}
	if ready == metav1.ConditionFalse && len(problems) > 0 {
		reason = problems[0].Reason
		message += ": " + messageOf(problems)
	}
	set(next, credential, now, v1alpha1.ReadyCondition, ready, reason, message)
}

// setRefreshed sets Refreshed: how the last attempt went.
func setRefreshed(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, problems []*problem.Problem, now time.Time) {
	before := meta.FindStatusCondition(next.Conditions, v1alpha1.RefreshedCondition)
	switch {
	case len(problems) > 0:
		set(next, credential, now, v1alpha1.RefreshedCondition, metav1.ConditionFalse, problems[0].Reason, messageOf(problems))
	case next.LastRefreshTime == nil || report.Suspended:
		if before == nil {
			set(next, credential, now, v1alpha1.RefreshedCondition, metav1.ConditionUnknown, v1alpha1.PendingReason, "nothing has been tried yet")
		}
	default:
		reason := v1alpha1.RefreshedReason
		if report.Attempt == nil && next.LastAttempt == nil {
			reason = v1alpha1.AdoptedReason // from a state that was kept
		}
		set(next, credential, now, v1alpha1.RefreshedCondition, metav1.ConditionTrue, reason,
			"the token in the target was obtained at "+rfc3339(next.LastRefreshTime.Time))
	}
}

func suspended() *problem.Problem {
	return problem.New(v1alpha1.SuspendedReason, "spec.suspend is true: set it to false to go on")
}

// messageOf says all problems.
func messageOf(problems []*problem.Problem) string {
	var messages []string
	for _, p := range problems {
		messages = append(messages, p.Message)
	}
	return strings.Join(messages, "; and ")
}

func set(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, now time.Time, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&next.Conditions, metav1.Condition{
		Type:               kind,
		Status:             status,
		ObservedGeneration: credential.Generation,
		LastTransitionTime: metav1.Time{Time: now.UTC().Truncate(time.Second)},
		Reason:             cmp.Or(reason, v1alpha1.PendingReason),
		Message:            cut(message, maxMessage),
	})
}

// cut shortens a text, and splits no character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// shownReason is the reason of the failure that a status shows; empty where it shows
// none. It tells whether an event is due, and decides nothing.
func shownReason(old *v1alpha1.TokenCredentialStatus) string {
	shown := meta.FindStatusCondition(old.Conditions, v1alpha1.RefreshedCondition)
	if shown == nil || shown.Status != metav1.ConditionFalse {
		return ""
	}
	return shown.Reason
}
