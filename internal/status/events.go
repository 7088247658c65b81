// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
)

// Event about a credential. Its action is what the operator was doing; events.k8s.io
// wants it in one word.
type Event struct {
	Type    string
	Reason  string
	Action  string
	Message string
}

const (
	actionRefresh = "Refresh"
	actionAdopt   = "Adopt"
	actionPublish = "Publish"
	actionRevoke  = "Revoke"
	actionReport  = "Report"
)

// Events are those that a transition calls for: each transition has one, and what
// stays as it was has none.
func Events(credential *v1alpha1.TokenCredential, next *v1alpha1.TokenCredentialStatus, report Report) []Event {
	var events []Event
	add := func(due bool, event func() Event) {
		if due {
			events = append(events, event())
		}
	}
	old := &credential.Status
	add(report.SeedAdopted, func() Event { return seedAdopted(credential) })
	if report.Paused { // what was done is done once; what was found is found again
		add(report.Repaired, func() Event { return repaired(credential) })
		return events
	}
	isNew := old.ObservedGeneration != next.ObservedGeneration || old.LastRefreshTime == nil
	add(report.isNotNudged() && isNew, func() Event { return notNudged(report.Notice) })
	add(report.SeedIgnored && inputsHaveChanged(old, report), func() Event { return seedIgnored(credential) })
	add(hasNewRemark(old, next), func() Event { return remarked(report, next.LastAttempt.Message) })
	if isPublished(old, next, report) {
		add(isFirst(old, report) || hasRecovered(old, next), func() Event { return refreshed(credential, next) })
		add(isShort(next) && !isShort(old), func() Event { return shortLifetime(lifetimeOf(next)) })
	}
	add(report.Repaired, func() Event { return repaired(credential) })
	if problems := report.problems(old); len(problems) > 0 {
		add(isTransition(old, report, problems[0]), func() Event { return Failed(problems[0]) })
	}
	return events
}

// inputsHaveChanged reports whether this is the first report of its inputs. While
// the API server blocks, the status does not keep them, and says nothing twice.
func inputsHaveChanged(old *v1alpha1.TokenCredentialStatus, report Report) bool {
	isNew := old.ObservedGeneration == 0
	return report.Inputs != old.ObservedInputs && (isNew || old.ObservedInputs != "")
}

// hasNewRemark reports whether something was wrong with the reply that brought the
// token, and not with the one before.
func hasNewRemark(old, next *v1alpha1.TokenCredentialStatus) bool {
	return remarkOf(next) != "" && remarkOf(next) != remarkOf(old)
}

// remarkOf is what was wrong with the reply that brought the last token.
func remarkOf(known *v1alpha1.TokenCredentialStatus) string {
	if last := known.LastAttempt; last != nil && last.Reason == v1alpha1.RefreshedReason {
		return last.Message
	}
	return ""
}

// isPublished reports whether a token has come into the target that was not there
// before: one that was just obtained, or one that could not be written until now.
func isPublished(old, next *v1alpha1.TokenCredentialStatus, report Report) bool {
	if report.Publication != nil || next.LastRefreshTime == nil || next.ExpirationTime == nil {
		return false
	}
	obtained := report.Attempt != nil && report.Attempt.Problem == nil
	return obtained || !next.LastRefreshTime.Equal(old.LastRefreshTime)
}

// isFirst reports whether an attempt has brought the first token.
func isFirst(old *v1alpha1.TokenCredentialStatus, report Report) bool {
	return report.Attempt != nil && old.RefreshCount == 0
}

// hasRecovered reports whether a failure that the old status shows is over.
func hasRecovered(old, next *v1alpha1.TokenCredentialStatus) bool {
	return shownProblem(old) != nil && shownProblem(next) == nil || lastProblem(old) != nil && lastProblem(next) == nil
}

// isTransition reports whether a problem is new: another than before, or one that a
// person must act on and that a further attempt has met again.
func isTransition(old *v1alpha1.TokenCredentialStatus, report Report, p *problem.Problem) bool {
	if report.Standing {
		return false
	}
	return !shows(old, p.Reason) || p.Stalls() && report.Attempt != nil && report.Attempt.Problem == p
}

// isShort reports whether tokens may expire before a kubelet delivers them.
func isShort(known *v1alpha1.TokenCredentialStatus) bool {
	return known.LastRefreshTime != nil && known.ExpirationTime != nil && lifetimeOf(known) < schedule.ShortLifetime
}

// lifetimeOf a token, on the whole seconds that a status carries.
func lifetimeOf(known *v1alpha1.TokenCredentialStatus) time.Duration {
	return known.ExpirationTime.Sub(known.LastRefreshTime.Time)
}

func refreshed(credential *v1alpha1.TokenCredential, next *v1alpha1.TokenCredentialStatus) Event {
	return Event{corev1.EventTypeNormal, v1alpha1.RefreshedReason, actionRefresh,
		fmt.Sprintf("a token that expires at %s was written to the Secret %q", rfc3339(next.ExpirationTime.Time), credential.TargetName())}
}

// Failed is the event of a problem. It has a reason of its own where a person must have
// the grant renewed.
func Failed(p *problem.Problem) Event {
	reason := v1alpha1.RefreshFailedEvent
	switch p.Reason {
	case v1alpha1.ReauthorizationRequiredReason, v1alpha1.OutcomeUnknownReason:
		reason = p.Reason
	}
	return Event{corev1.EventTypeWarning, reason, actionRefresh, p.Message}
}

// Revoked is the event of a grant that was revoked with its credential.
func Revoked() Event {
	return Event{corev1.EventTypeNormal, v1alpha1.RevokedEvent, actionRevoke, "the grant was revoked at the provider, and the Secret that held its refresh token is deleted"}
}

// NotRevoked is the event of a grant that could not be.
func NotRevoked(credential *v1alpha1.TokenCredential, p *problem.Problem) Event {
	return Event{corev1.EventTypeWarning, v1alpha1.RevocationFailedEvent, actionRevoke, fmt.Sprintf(
		"the grant could not be revoked, and the credential is let go (%s): revoke it at the provider by hand, and then delete the Secret %q, which holds its refresh token",
		p.Message, credential.StateSecretName())}
}

// NotStored is the event of a status that the API server refuses for some fields. Before
// 1.33 it judges the spec anew whenever a status is written, and may find what an older CRD
// let in (status_strategy.go of k8s.io/apiextensions-apiserver).
func NotStored(fields []string) Event {
	why := "the API server does not take what it holds of this credential: correct " + strings.Join(fields, ", ")
	if !slices.ContainsFunc(fields, func(field string) bool { return !strings.HasPrefix(field, "status.") }) {
		why = "the CRD is of another version than the operator: apply the one that comes with it"
	}
	return Event{corev1.EventTypeWarning, v1alpha1.StatusRefusedEvent, actionReport,
		fmt.Sprintf("the status cannot be stored, since %s. Until then kubectl get does not show how the credential is, and its events do", why)}
}

func seedAdopted(credential *v1alpha1.TokenCredential) Event {
	return Event{corev1.EventTypeNormal, v1alpha1.SeedAdoptedEvent, actionAdopt,
		fmt.Sprintf("the refresh token of the Secret %q is now in use", credential.Spec.RefreshTokenSecretRef.Name)}
}

func seedIgnored(credential *v1alpha1.TokenCredential) Event {
	return Event{corev1.EventTypeWarning, v1alpha1.SpentSeedIgnoredEvent, actionAdopt,
		fmt.Sprintf("the Secret %q holds a refresh token that was used before, so it is ignored; its successor is kept in the Secret %q",
			credential.Spec.RefreshTokenSecretRef.Name, credential.StateSecretName())}
}

func repaired(credential *v1alpha1.TokenCredential) Event {
	return Event{corev1.EventTypeNormal, v1alpha1.TargetRepairedEvent, actionPublish,
		fmt.Sprintf("the Secret %q had been changed or deleted and was written again", credential.TargetName())}
}

func notNudged(notice *problem.Problem) Event {
	return Event{corev1.EventTypeWarning, v1alpha1.PodsNotNudgedEvent, actionPublish, notice.Message}
}

func shortLifetime(lifetime time.Duration) Event {
	return Event{corev1.EventTypeWarning, v1alpha1.ShortLifetimeEvent, actionRefresh,
		fmt.Sprintf("tokens live for %s only; a kubelet may take up to %s to bring a change to a mounted volume, so pods should read the Secret through the API", lifetime, schedule.ShortLifetime)}
}

func remarked(report Report, remark string) Event {
	reason := v1alpha1.ImperfectReplyEvent
	if report.Attempt != nil && report.Attempt.LifetimeIgnored {
		reason = v1alpha1.LifetimeIgnoredEvent
	}
	return Event{corev1.EventTypeWarning, reason, actionRefresh, remark}
}
