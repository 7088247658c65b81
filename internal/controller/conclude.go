// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

// conclude reports what came of a reconcile, and says when the next one is.
func (r *Reconciler) conclude(ctx context.Context, cached, credential *v1alpha1.TokenCredential, came outcome) ctrl.Result {
	now, key := r.Clock.Now(), client.ObjectKeyFromObject(credential)
	said := came.report
	if said.Paused {
		log.FromContext(ctx).V(1).Info("paused", "why", came.why)
	} else if said.Renewal != nil {
		log.FromContext(ctx).V(1).Info("not renewed", "reason", said.Renewal.Reason, "message", said.Renewal.Message)
	}
	next := r.keyed(credential, status.Next(credential, said, now))
	if events := status.Events(credential, &next, said); len(events) > 0 || !equality.Semantic.DeepEqual(credential.Status, next) {
		r.Reports.Add(cached, report.Update{
			Credential: credential,
			Status:     next,
			Events:     events,
			Urgent:     status.IsTransition(&credential.Status, &next),
			Rebase: func(theirs v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus {
				return r.keyed(credential, status.Rebase(credential, theirs, said, now, r.Clock.Now()))
			},
		})
	}
	if attempt := said.Attempt; attempt != nil {
		reason := v1alpha1.RefreshedReason
		if attempt.Problem != nil {
			reason = attempt.Problem.Reason
		}
		r.Metrics.Refreshed(credential.Spec.ProviderRef.Name, reason)
		if attempt.Problem.Stalls() { // a token that was refused is not sent again by a process that comes after a crash
			if err := r.Reports.Write(context.WithoutCancel(ctx), key); err != nil {
				log.FromContext(ctx).Info("the status of a credential that has stalled cannot be written yet", "credential", key)
			}
		}
	}
	again := came.again
	if said.IsBlocked() {
		again = schedule.Wake(again, now.Add(r.retries.next(key, said.IsTransient())))
	} else {
		r.retries.forget(key)
	}
	reported := *credential
	reported.Status = next
	if said.Paused {
		return requeueAt(schedule.Wake(again, expiryAfter(&next, now)), now)
	}
	return requeueAt(schedule.Wake(again, wakeTime(&reported, now)), now)
}

// rest is for a credential of which nothing has changed but the time. Until is when it is to
// be looked at; zero: once its token expires, if it has not.
func (r *Reconciler) rest(cached, credential *v1alpha1.TokenCredential, until time.Time) ctrl.Result {
	now := r.Clock.Now()
	next := credential.Status
	if next.ObservedGeneration != 0 {
		next = status.Expire(credential, now)
	}
	next = r.keyed(credential, next)
	if !equality.Semantic.DeepEqual(credential.Status, next) {
		r.Reports.Add(cached, report.Update{
			Credential: credential,
			Status:     next,
			Urgent:     status.IsTransition(&credential.Status, &next),
			Rebase: func(theirs v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus {
				expired := *credential
				expired.Status = theirs
				return r.keyed(credential, status.Expire(&expired, now)) // theirs may have been written before the expiry
			},
		})
	}
	return requeueAt(schedule.Wake(until, expiryAfter(&next, now)), now)
}

// requeueAt asks for a credential's next reconcile; the zero time: none is planned.
func requeueAt(wake, now time.Time) ctrl.Result {
	if wake.IsZero() {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: max(wake.Sub(now), time.Millisecond)}
}

// wakeTime is when a credential is next to be looked at by the status that has just been made
// of it: when its renewal starts or a failed one is tried again, and when its token expires,
// so that Ready turns False.
func wakeTime(credential *v1alpha1.TokenCredential, now time.Time) time.Time {
	known := &credential.Status
	var due time.Time
	if known.NextRefreshTime != nil {
		due = known.NextRefreshTime.Time
		if known.FailedAttempts == 0 && known.LastRefreshTime != nil {
			due = schedule.StartAt(statusValidity(known), due, string(credential.UID))
		}
	}
	return schedule.Wake(due, expiryAfter(known, now))
}

// expiryAfter is when the token of a status expires; zero where it has.
func expiryAfter(known *v1alpha1.TokenCredentialStatus, now time.Time) time.Time {
	if known.ExpirationTime == nil || !now.Before(known.ExpirationTime.Time) {
		return time.Time{}
	}
	return known.ExpirationTime.Time
}

const (
	// firstRetry and longestRetry pace what the API server refuses, for each
	// credential: apart from the backoff of what the provider refuses.
	firstRetry   = 200 * time.Millisecond
	longestRetry = 5 * time.Minute
	// longestTransient paces what it could not serve: an outage of its own is over
	// for all at once.
	longestTransient = 5 * time.Second
)

// retries paces what the API server does not do.
type retries struct {
	limiter workqueue.TypedRateLimiter[types.NamespacedName]
}

func newRetries() retries {
	return retries{workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, longestRetry)}
}

func (r retries) next(credential types.NamespacedName, transient bool) time.Duration {
	pause := r.limiter.When(credential)
	if transient {
		return min(pause, longestTransient)
	}
	return pause
}

func (r retries) forget(credential types.NamespacedName) { r.limiter.Forget(credential) }
