// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
)

// notice is an event about a credential. Its action is what the operator was
// doing; events.k8s.io wants it in one word.
type notice struct {
	kind    string
	reason  string
	action  string
	message string
}

const (
	actionRefresh = "Refresh"
	actionAdopt   = "Adopt"
	actionPublish = "Publish"
)

func refreshedNotice(credential *v1alpha1.TokenCredential, expires time.Time) notice {
	return notice{corev1.EventTypeNormal, v1alpha1.RefreshedReason, actionRefresh,
		fmt.Sprintf("a token that expires at %s was written to the Secret %q", expires.UTC().Format(time.RFC3339), credential.TargetName())}
}

// failureNotice has a reason of its own where a person must act.
func failureNotice(p *problem) notice {
	reason := v1alpha1.RefreshFailedEvent
	switch p.reason {
	case v1alpha1.ReauthorizationRequiredReason, v1alpha1.OutcomeUnknownReason:
		reason = p.reason
	}
	return notice{corev1.EventTypeWarning, reason, actionRefresh, p.Error()}
}

func seedAdopted(credential *v1alpha1.TokenCredential) notice {
	return notice{corev1.EventTypeNormal, v1alpha1.SeedAdoptedEvent, actionAdopt,
		fmt.Sprintf("the refresh token of the Secret %q is now in use", credential.Spec.RefreshTokenSecretRef.Name)}
}

func spentSeedIgnored(credential *v1alpha1.TokenCredential) notice {
	return notice{corev1.EventTypeWarning, v1alpha1.SpentSeedIgnoredEvent, actionAdopt,
		fmt.Sprintf("the Secret %q holds a refresh token that was used before, so it is ignored; its successor is kept in the Secret %q",
			credential.Spec.RefreshTokenSecretRef.Name, credential.StateSecretName())}
}

func targetRepaired(credential *v1alpha1.TokenCredential) notice {
	return notice{corev1.EventTypeNormal, v1alpha1.TargetRepairedEvent, actionPublish,
		fmt.Sprintf("the Secret %q had been changed or deleted and was written again", credential.TargetName())}
}

func shortLifetime(lifetime time.Duration) notice {
	return notice{corev1.EventTypeWarning, v1alpha1.ShortLifetimeEvent, actionRefresh,
		fmt.Sprintf("tokens live for %s only; a kubelet may take up to %s to bring a change to a mounted volume, so pods should read the Secret through the API", lifetime, schedule.ShortLifetime)}
}

func lifetimeIgnored(credential *v1alpha1.TokenCredential) notice {
	return notice{corev1.EventTypeWarning, v1alpha1.LifetimeIgnoredEvent, actionRefresh,
		fmt.Sprintf("the reply's lifetime could not be used; the default of the provider %q holds", credential.Spec.ProviderRef.Name)}
}
