// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package queue makes the controller's work queue, which serves credentials in the fair
// order of package pace. Order is all that it adds: that an item is queued once and
// processed by one worker at a time, delays, rate limits and metrics are client-go's.
package queue

import (
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/internal/pace"
)

// Queue is a controller's work queue.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// New makes the queue of a controller, whose name its metrics carry. It starts
// goroutines, which end with ShutDown.
//
// describe says what a request waits for; who waits is the request's. It is called each
// time that the request becomes ready, and when it is added again while it waits, with
// the queue's lock held: it must be fast, and must not use the queue.
func New(name string, limiter workqueue.TypedRateLimiter[reconcile.Request], describe func(reconcile.Request) pace.Waiter) Queue {
	return newQueue(name, limiter, describe, clock.RealClock{})
}

func newQueue(
	name string, limiter workqueue.TypedRateLimiter[reconcile.Request],
	describe func(reconcile.Request) pace.Waiter, clock clock.WithTicker,
) Queue {
	ready := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{
		Name:  name,
		Clock: clock,
		Queue: &fair{describe: describe},
	})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{
		Name:  name,
		Clock: clock,
		Queue: ready,
	})
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
		Name:          name,
		Clock:         clock,
		DelayingQueue: delaying,
	})
}

// fair implements workqueue.Queue by pace's order.
type fair struct {
	order    pace.Order
	describe func(reconcile.Request) pace.Waiter
}

var _ workqueue.Queue[reconcile.Request] = (*fair)(nil)

// Push implements workqueue.Queue.
func (f *fair) Push(request reconcile.Request) {
	waiter := f.describe(request)
	waiter.Who = request.NamespacedName
	f.order.Add(waiter)
}

// Touch implements workqueue.Queue: a request that waits already may have become urgent.
func (f *fair) Touch(request reconcile.Request) { f.Push(request) }

// Len implements workqueue.Queue.
func (f *fair) Len() int { return f.order.Len() }

// Pop implements workqueue.Queue.
func (f *fair) Pop() reconcile.Request {
	next, _ := f.order.Pop() // the library pops only what is there
	return reconcile.Request{NamespacedName: next.Who}
}
