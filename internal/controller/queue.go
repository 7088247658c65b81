// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
)

// queue is the controller's.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// waiter says where a credential stands in the queue: by the cache, and by what this
// process has yet to report.
func (r *Reconciler) waiter(request reconcile.Request) pace.Waiter {
	if r.Hosts.Admitted(request.NamespacedName) { // its slot is not kept for long
		return pace.Waiter{Who: request.NamespacedName, Class: pace.Renewal}
	}
	credential := &v1alpha1.TokenCredential{}
	if err := r.Get(context.Background(), request.NamespacedName, credential, client.UnsafeDisableDeepCopy); err != nil {
		return pace.Waiter{Who: request.NamespacedName, Class: pace.New} // it is gone: what it owned is removed
	}
	return refresh.Waiter(r.Reports.Current(credential), r.Clock.Now())
}

// credentialEvents queue a credential when it comes, and when its spec or an
// annotation changes; what it refers to is known before. Every change ends the time
// for which a status that was written is remembered beside the cache.
func (r *Reconciler) credentialEvents() handler.EventHandler {
	add := func(queue queue, credential *v1alpha1.TokenCredential) {
		queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(credential)})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, created event.CreateEvent, queue queue) {
			credential := created.Object.(*v1alpha1.TokenCredential)
			r.referrers.update(nil, credential)
			add(queue, credential)
		},
		UpdateFunc: func(_ context.Context, updated event.UpdateEvent, queue queue) {
			before, after := updated.ObjectOld.(*v1alpha1.TokenCredential), updated.ObjectNew.(*v1alpha1.TokenCredential)
			r.refer(before, after)
			if before.UID != after.UID {
				r.departed.note(before)
			}
			r.Reports.Seen(after)
			if before.ResourceVersion == after.ResourceVersion || // a resync
				before.UID != after.UID || // made again, and the deletion was missed
				before.Generation != after.Generation || !maps.Equal(before.Annotations, after.Annotations) {
				add(queue, after)
			}
		},
		DeleteFunc: func(_ context.Context, deleted event.DeleteEvent, queue queue) {
			credential := deleted.Object.(*v1alpha1.TokenCredential)
			r.refer(credential, nil)
			r.departed.note(credential)
			add(queue, credential)
			for _, rival := range r.sharing(credential) { // one that gave way goes on
				queue.Add(reconcile.Request{NamespacedName: rival})
			}
		},
	}
}

// refer notes which Secrets a credential names now, and forgets the values of those
// that none names any more.
func (r *Reconciler) refer(before, after *v1alpha1.TokenCredential) {
	r.referrers.update(before, after)
	named := secretsOf(after)
	for _, secret := range secretsOf(before) {
		if !slices.Contains(named, secret) && len(r.referrers.of(secret)) == 0 {
			r.Inputs.Secrets.Forget(secret)
		}
	}
}

// waker is a source without events of its own: it keeps the queue, so that a
// credential which waits for its provider's host can be woken.
func (r *Reconciler) waker() source.Source {
	return source.Func(func(_ context.Context, queue queue) error {
		r.wake.Store(&queue)
		return nil
	})
}

// wakeUp queues a credential for which there is a slot at its provider's host, or
// whose state is saved at last.
func (r *Reconciler) wakeUp(credential types.NamespacedName) {
	if queue := r.wake.Load(); queue != nil {
		(*queue).Add(reconcile.Request{NamespacedName: credential})
	}
}

// passSlotsOn gives slots at hosts that a woken credential did not come for to the next
// one, also while no call is made.
func (r *Reconciler) passSlotsOn(ctx context.Context) error {
	wait.UntilWithContext(ctx, func(context.Context) { r.Hosts.Tick(r.Clock.Now()) }, time.Second)
	return nil
}
