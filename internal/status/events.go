// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
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
)

// Events are those that a transition calls for: each transition has one, and what
// stays as it was has none.
func Events(credential *v1alpha1.TokenCredential, next *v1alpha1.TokenCredentialStatus, report Report) []Event {
	var events []Event
	add := func(event Event, due bool) {
		if due {
			events = append(events, event)
		}
	}
	old := &credential.Status
	if report.SeedAdopted || report.SeedIgnored { // then there is a reference
		add(seedAdopted(credential), report.SeedAdopted)
		add(seedIgnored(credential), report.SeedIgnored)
	}
	if attempt := report.Attempt; attempt != nil {
		add(lifetimeIgnored(credential), attempt.LifetimeIgnored)
	}
	if brought := obtained(report); brought != nil {
		lifetime := brought.Token.Lifetime()
		add(refreshed(credential, brought.Token.ExpiresAt), old.RefreshCount == 0 || hasFailed(old))
		add(shortLifetime(lifetime), lifetime < schedule.ShortLifetime && !wasShort(old))
	}
	add(repaired(credential), report.Repaired)
	if problems := report.problems(old); !report.Paused && len(problems) > 0 {
		add(failed(problems[0]), isTransition(old, report, problems[0]))
	}
	return events
}

// obtained is the attempt that brought a token which is in the target now.
func obtained(report Report) *Attempt {
	if report.Attempt == nil || report.Attempt.Problem != nil || report.Publication != nil {
		return nil
	}
	return report.Attempt
}

// isTransition reports whether a problem is new: another than before, or one that a
// person must act on and that a further attempt has met again.
func isTransition(old *v1alpha1.TokenCredentialStatus, report Report, p *problem.Problem) bool {
	if report.Standing {
		return false
	}
	return shownReason(old) != p.Reason || p.Stalls() && report.Attempt != nil
}

// hasFailed reports whether a status tells of a failure.
func hasFailed(old *v1alpha1.TokenCredentialStatus) bool { return shownReason(old) != "" }

// wasShort reports whether the token before this one was short-lived already.
func wasShort(old *v1alpha1.TokenCredentialStatus) bool {
	return old.LastRefreshTime != nil && old.ExpirationTime != nil &&
		old.ExpirationTime.Sub(old.LastRefreshTime.Time) < schedule.ShortLifetime
}

func refreshed(credential *v1alpha1.TokenCredential, expires time.Time) Event {
	return Event{corev1.EventTypeNormal, v1alpha1.RefreshedReason, actionRefresh,
		fmt.Sprintf("a token that expires at %s was written to the Secret %q", rfc3339(expires), credential.TargetName())}
}

// failed has a reason of its own where a person must have the grant renewed.
func failed(p *problem.Problem) Event {
	reason := v1alpha1.RefreshFailedEvent
	switch p.Reason {
	case v1alpha1.ReauthorizationRequiredReason, v1alpha1.OutcomeUnknownReason:
		reason = p.Reason
	}
	return Event{corev1.EventTypeWarning, reason, actionRefresh, p.Message}
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

func shortLifetime(lifetime time.Duration) Event {
	return Event{corev1.EventTypeWarning, v1alpha1.ShortLifetimeEvent, actionRefresh,
		fmt.Sprintf("tokens live for %s only; a kubelet may take up to %s to bring a change to a mounted volume, so pods should read the Secret through the API", lifetime, schedule.ShortLifetime)}
}

func lifetimeIgnored(credential *v1alpha1.TokenCredential) Event {
	return Event{corev1.EventTypeWarning, v1alpha1.LifetimeIgnoredEvent, actionRefresh,
		fmt.Sprintf("the reply's lifetime could not be used; the default of the provider %q holds", credential.Spec.ProviderRef.Name)}
}
