// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
)

// The queue hands out what is ready in bands of priority, and within a band in the
// order in which it became ready, which is that of the due times. Left alone,
// controller-runtime puts the objects of the initial list into a band below all
// others, and keeps each object in its band for good; so whoever queues a
// credential here says the band.

// band of a credential's visit at a moment.
func band(credential *v1alpha1.TokenCredential, at time.Time) int {
	return schedule.Priority(at, expiration(credential), credential.Status.FailedAttempts > 0)
}

// expiration of the last token that the target held; zero where there never was one.
func expiration(credential *v1alpha1.TokenCredential) time.Time {
	if expires := credential.Status.ExpirationTime; expires != nil {
		return expires.Time
	}
	return time.Time{}
}

// asker is a credential among those that wait for a call to a host.
func asker(credential *v1alpha1.TokenCredential, now time.Time) pace.Asker {
	asking := pace.Asker{
		Who:      client.ObjectKeyFromObject(credential),
		Deadline: schedule.Deadline(expiration(credential), now),
	}
	if failed := credential.Status.LastFailureTime; failed != nil && credential.Status.FailedAttempts > 0 {
		asking.FailedAt = failed.Time
	}
	return asking
}

// requeueAt asks for a credential's next visit; the zero time: none is planned.
func requeueAt(credential *v1alpha1.TokenCredential, wake, now time.Time) ctrl.Result {
	result := ctrl.Result{Priority: new(band(credential, wake))}
	if !wake.IsZero() {
		result.RequeueAfter = max(wake.Sub(now), time.Millisecond)
	}
	return result
}

// queue is the controller's.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// credentialEvents queue a credential when it comes, and when its spec or an
// annotation changes; what it refers to is known before. Every change ends the time
// for which a status that was written is remembered beside the cache.
func (r *Reconciler) credentialEvents() handler.EventHandler {
	add := func(queue queue, credential *v1alpha1.TokenCredential) {
		queueNow(queue, client.ObjectKeyFromObject(credential), band(credential, r.Clock.Now()))
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, created event.CreateEvent, queue queue) {
			credential := created.Object.(*v1alpha1.TokenCredential)
			r.referrers.update(nil, credential)
			add(queue, credential)
		},
		UpdateFunc: func(_ context.Context, updated event.UpdateEvent, queue queue) {
			before, after := updated.ObjectOld.(*v1alpha1.TokenCredential), updated.ObjectNew.(*v1alpha1.TokenCredential)
			r.referrers.update(before, after)
			r.statuses.seen(after)
			if before.ResourceVersion == after.ResourceVersion || // a resync
				before.Generation != after.Generation || !maps.Equal(before.Annotations, after.Annotations) {
				add(queue, after)
			}
		},
		DeleteFunc: func(_ context.Context, deleted event.DeleteEvent, queue queue) {
			credential := deleted.Object.(*v1alpha1.TokenCredential)
			r.referrers.update(credential, nil)
			for _, secret := range secretsOf(credential) {
				r.Secrets.forget(secret)
			}
			add(queue, credential)
		},
	}
}

// waker is a source without events of its own: it keeps the queue, so that who
// waits for a provider's host can be woken.
func (r *Reconciler) waker() source.Source {
	return source.Func(func(_ context.Context, queue queue) error {
		r.wake.Store(&queue)
		return nil
	})
}

// wakeUp queues a credential for which there is room at its provider's host.
func (r *Reconciler) wakeUp(credential types.NamespacedName) {
	if queue := r.wake.Load(); queue != nil {
		queueNow(*queue, credential, schedule.Urgent)
	}
}

func queueNow(queue queue, credential types.NamespacedName, priority int) {
	request := reconcile.Request{NamespacedName: credential}
	if byPriority, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request)
		return
	}
	queue.Add(request)
}
