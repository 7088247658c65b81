// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// writers is how many statuses are written at once. They are few, so that the
	// API server's time goes to tokens while there is much to do; when there is not,
	// two write some hundreds a second.
	writers = 2
	// lastWriters is how many write what is left when the process ends.
	lastWriters = 32
	// lastTimeout bounds that: what is not written by then is found out anew by the
	// next process, without a call to a provider.
	lastTimeout = 15 * time.Second
)

// What is urgent goes first.
const (
	urgent    = 1
	notUrgent = 0
)

type queue = priorityqueue.PriorityQueue[types.NamespacedName]

// enqueue asks a writer to come to a status. The caller holds the lock.
func (l *Lane) enqueue(key types.NamespacedName, isUrgent bool) {
	if l.queue == nil {
		return
	}
	priority := notUrgent
	if isUrgent {
		priority = urgent
	}
	l.queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, key)
}

// NeedLeaderElection is false, so that the lane ends after those who report.
func (l *Lane) NeedLeaderElection() bool { return false }

// Start writes statuses until ctx ends, and then what is still unwritten.
func (l *Lane) Start(ctx context.Context) error {
	queue := priorityqueue.New[types.NamespacedName]("status", func(o *priorityqueue.Opts[types.NamespacedName]) {
		o.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](200*time.Millisecond, 30*time.Second)
	})
	l.mu.Lock()
	l.queue = queue
	for key, known := range l.entries {
		if known.unwritten != nil {
			l.enqueue(key, known.unwritten.Urgent)
		}
	}
	l.mu.Unlock()
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() { l.work(ctx, queue) })
	}
	<-ctx.Done()
	queue.ShutDown()
	writing.Wait()
	l.writeAll(context.WithoutCancel(ctx))
	return nil
}

// work writes what comes.
func (l *Lane) work(ctx context.Context, queue queue) {
	for {
		key, priority, shutdown := queue.GetWithPriority()
		if shutdown {
			return
		}
		err := l.Write(context.WithoutCancel(ctx), key)
		if err != nil {
			queue.AddWithOpts(priorityqueue.AddOpts{RateLimited: true, Priority: &priority}, key)
		} else {
			queue.Forget(key)
		}
		queue.Done(key)
	}
}

// writeAll writes what is left, once: the process is ending.
func (l *Lane) writeAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastTimeout)
	defer cancel()
	var writing errgroup.Group
	writing.SetLimit(lastWriters)
	for _, key := range l.Unwritten() {
		writing.Go(func() error {
			if err := l.Write(ctx, key); err != nil {
				log.FromContext(ctx).Info("a status could not be written before the process ends", "credential", key)
			}
			return nil
		})
	}
	_ = writing.Wait() // none errs
}
