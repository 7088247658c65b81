// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
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
	setReady(next, credential, problems, report.Notice, now)
	setRefreshed(next, credential, report, problems, now)
	stalling := stallingOf(problems)
	switch {
	case len(stalling) > 0:
		set(next, credential, now, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: stalling[0].Reason, Message: messageOf(stalling)})
		meta.RemoveStatusCondition(&next.Conditions, v1alpha1.ReconcilingCondition)
		return
	case len(problems) > 0:
		set(next, credential, now, metav1.Condition{Type: v1alpha1.ReconcilingCondition, Status: metav1.ConditionTrue, Reason: problems[0].Reason, Message: messageOf(problems)})
	case !report.Suspended && next.LastRefreshTime == nil:
		set(next, credential, now, metav1.Condition{Type: v1alpha1.ReconcilingCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.PendingReason, Message: "the first token is on its way"})
	default:
		meta.RemoveStatusCondition(&next.Conditions, v1alpha1.ReconcilingCondition)
	}
	meta.RemoveStatusCondition(&next.Conditions, v1alpha1.StalledCondition)
}

// setReady sets Ready: a token that has not expired is in the target now. While it
// is, what keeps it from being renewed is said beside it. While it is not, the reason
// is the one that a person must act on, if there is one.
func setReady(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, problems []*problem.Problem, notice *problem.Problem, now time.Time) {
	if holdsToken(next, now) {
		message := fmt.Sprintf("the Secret %q holds a token that expires at %s", credential.TargetName(), rfc3339(next.ExpirationTime.Time))
		if remark := remarkOf(next); remark != "" {
			message += "; " + remark
		}
		if said := messageOf(with(problems, notice)); said != "" {
			message += "; " + said
		}
		set(next, credential, now, metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.TokenValidReason, Message: message})
		return
	}
	if credential.Spec.Suspend {
		problems = append([]*problem.Problem{suspended()}, problems...)
	}
	reason, message := absence(next, credential, now)
	switch stalling := stallingOf(problems); {
	case len(stalling) > 0:
		reason = stalling[0].Reason
	case len(problems) > 0:
		reason = problems[0].Reason
	case notice != nil && reason == v1alpha1.PendingReason:
		reason = notice.Reason
	}
	if said := messageOf(with(problems, notice)); said != "" {
		message += ": " + said
	}
	set(next, credential, now, metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: reason, Message: message})
}

// holdsToken reports whether the target holds a token that has not expired.
func holdsToken(known *v1alpha1.TokenCredentialStatus, now time.Time) bool {
	return known.ExpirationTime != nil && now.Before(known.ExpirationTime.Time) &&
		known.Target != nil && known.Target.ResourceVersion != ""
}

// absence says why a target that holds no valid token holds none, as far as the rest
// of the status shows.
func absence(known *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, now time.Time) (reason, message string) {
	switch expires, obtained := known.ExpirationTime, known.LastRefreshTime; {
	case expires != nil && !now.Before(expires.Time):
		return v1alpha1.TokenExpiredReason, "the token expired at " + rfc3339(expires.Time)
	case obtained != nil:
		return v1alpha1.PendingReason, fmt.Sprintf("the Secret %q does not hold the token that was obtained at %s", credential.TargetName(), rfc3339(obtained.Time))
	case known.RefreshCount > 0: // and it never came into the target
		return v1alpha1.PendingReason, fmt.Sprintf("the Secret %q does not hold the token that was obtained", credential.TargetName())
	default:
		return v1alpha1.PendingReason, "no token has been obtained yet"
	}
}

// updateReady brings Ready up to date where a token has come to its end, or is not in
// the target any more, since the conditions were set. Else it leaves Ready alone.
func updateReady(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, now time.Time) {
	if meta.IsStatusConditionTrue(next.Conditions, v1alpha1.ReadyCondition) == holdsToken(next, now) {
		return
	}
	var problems []*problem.Problem
	if shown := shownProblem(next); shown != nil && !credential.Spec.Suspend { // else it is of the time before
		problems = append(problems, shown)
	}
	setReady(next, credential, problems, nil, now)
}

// setRefreshed sets Refreshed: how the last attempt went.
func setRefreshed(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, problems []*problem.Problem, now time.Time) {
	before := meta.FindStatusCondition(next.Conditions, v1alpha1.RefreshedCondition)
	switch {
	case len(problems) > 0:
		set(next, credential, now, metav1.Condition{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionFalse, Reason: problems[0].Reason, Message: messageOf(problems)})
	case report.Suspended && before != nil: // nothing was tried
	case report.Suspended, next.LastRefreshTime == nil:
		set(next, credential, now, metav1.Condition{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionUnknown, Reason: v1alpha1.PendingReason, Message: "nothing has been tried yet"})
	default:
		reason := v1alpha1.RefreshedReason
		if report.Attempt == nil && next.LastAttempt == nil {
			reason = v1alpha1.AdoptedReason // from a state that was kept
		}
		message := "the last token was obtained at " + rfc3339(next.LastRefreshTime.Time)
		if last := next.LastAttempt; last != nil && last.Reason == v1alpha1.RefreshedReason && last.Message != "" {
			message += "; " + last.Message
		}
		set(next, credential, now, metav1.Condition{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionTrue, Reason: reason, Message: message})
	}
}

func suspended() *problem.Problem {
	return problem.New(v1alpha1.SuspendedReason, "spec.suspend is true: set it to false to go on")
}

// stallingOf are the problems that a person must act on.
func stallingOf(problems []*problem.Problem) []*problem.Problem {
	var stalling []*problem.Problem
	for _, p := range problems {
		if p.Stalls() {
			stalling = append(stalling, p)
		}
	}
	return stalling
}

// with adds a notice, if there is one.
func with(problems []*problem.Problem, notice *problem.Problem) []*problem.Problem {
	if notice == nil {
		return problems
	}
	return append(problems[:len(problems):len(problems)], notice)
}

// messageOf says all problems. Where they are too long, each gets the same share, so
// that none hides another.
func messageOf(problems []*problem.Problem) string {
	const and = "; and "
	messages, length := make([]string, len(problems)), 0
	for i, p := range problems {
		messages[i] = p.Message
		length += len(p.Message) + len(and)
	}
	if length > maxMessage && len(messages) > 1 {
		for i, message := range messages {
			messages[i] = cut(message, maxMessage/len(messages)-len(and))
		}
	}
	return strings.Join(messages, and)
}

func set(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, now time.Time, condition metav1.Condition) {
	condition.ObservedGeneration = credential.Generation
	condition.LastTransitionTime = metav1.Time{Time: now.UTC().Truncate(time.Second)}
	condition.Message = cut(condition.Message, maxMessage)
	meta.SetStatusCondition(&next.Conditions, condition)
}

// cut shortens a text, and splits no character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// shownProblem is what the conditions of a status show, all problems as one; nil: none.
// It is shown again, or says whether an event is due, and decides nothing.
func shownProblem(known *v1alpha1.TokenCredentialStatus) *problem.Problem {
	refreshed := meta.FindStatusCondition(known.Conditions, v1alpha1.RefreshedCondition)
	if refreshed == nil || refreshed.Status != metav1.ConditionFalse {
		return nil
	}
	shown := &problem.Problem{Reason: refreshed.Reason, Message: refreshed.Message}
	if stalled := meta.FindStatusCondition(known.Conditions, v1alpha1.StalledCondition); stalled != nil {
		shown.Reason = stalled.Reason
	}
	return shown
}

// shows reports whether the conditions of a status show a reason as that of a problem.
func shows(known *v1alpha1.TokenCredentialStatus, reason string) bool {
	for _, condition := range known.Conditions {
		isProblem := condition.Type == v1alpha1.RefreshedCondition && condition.Status == metav1.ConditionFalse ||
			condition.Type == v1alpha1.StalledCondition
		if isProblem && condition.Reason == reason {
			return true
		}
	}
	return false
}
