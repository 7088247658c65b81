// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// firstRetry and longestRetry pace what cannot be written, for each credential.
	firstRetry   = 200 * time.Millisecond
	longestRetry = 30 * time.Second
	// failuresToLog is how many failures in a row pass before one is logged: once for
	// each credential, and not for what passes within seconds.
	failuresToLog = 5
)

// What is urgent goes first.
const (
	urgent    = 1
	notUrgent = 0
)

type queue = priorityqueue.PriorityQueue[types.NamespacedName]

// enqueue asks a writer to come to a status that is in the book, and reports whether one
// will: what is in the book before the lane closes is written in the end.
func (l *Lane) enqueue(key types.NamespacedName, isUrgent bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue != nil {
		priority := notUrgent
		if isUrgent {
			priority = urgent
		}
		l.queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, key)
	}
	return !l.ending
}

// Start writes statuses until ctx ends, and then what is still unwritten. The lane
// runs among the controllers, which the manager stops at the same time: what they add
// after that they write themselves, so that nothing depends on who ends first.
func (l *Lane) Start(ctx context.Context) error {
	queue := priorityqueue.New[types.NamespacedName]("status", func(o *priorityqueue.Opts[types.NamespacedName]) {
		o.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, longestRetry)
	})
	l.open(queue)
	writeCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() { l.work(writeCtx, queue) })
	}
	<-ctx.Done()
	bound := time.AfterFunc(lastTimeout, cancel) //nolint:forbidigo // it bounds the end of the process, and decides nothing
	defer bound.Stop()
	l.close()
	queue.ShutDown()
	writing.Wait()
	l.writeAll(writeCtx)
	return nil
}

// open lets writers come to what was added before the lane ran, and is from now on. What
// is added in between is asked for twice, which makes no difference.
func (l *Lane) open(queue queue) {
	l.mu.Lock()
	l.queue = queue
	l.mu.Unlock()
	for key, isUrgent := range l.book.unwritten() {
		l.enqueue(key, isUrgent)
	}
}

// close has what is added from now on be written by whoever adds it.
func (l *Lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
}

// work writes what comes. What cannot be written comes again after a pause of its own,
// and delays no other.
func (l *Lane) work(ctx context.Context, queue queue) {
	for {
		key, priority, shutdown := queue.GetWithPriority()
		if shutdown {
			return
		}
		if err := l.Write(ctx, key); err == nil {
			queue.Forget(key)
		} else {
			if queue.NumRequeues(key) == failuresToLog {
				unwritten(ctx, "a status cannot be written; it is tried again", key, err)
			}
			queue.AddWithOpts(priorityqueue.AddOpts{RateLimited: true, Priority: &priority}, key)
		}
		queue.Done(key)
	}
}

// writeAll writes what is left, once: the process is ending.
func (l *Lane) writeAll(ctx context.Context) {
	var writing errgroup.Group
	writing.SetLimit(lastWriters)
	for _, key := range l.Unwritten() {
		writing.Go(func() error { l.writeLast(ctx, key); return nil })
	}
	_ = writing.Wait() // none errs
}

// writeLast writes a status that nobody writes later.
func (l *Lane) writeLast(ctx context.Context, key types.NamespacedName) {
	if err := l.Write(ctx, key); err != nil {
		unwritten(ctx, "a status could not be written before the process ends", key, err)
	}
}

// unwritten logs why a status is not written. An API server that has an older CRD may
// refuse a field, which is named; what it would quote is left out.
func unwritten(ctx context.Context, message string, key types.NamespacedName, err error) {
	var fields []string
	if refused := apierrors.APIStatus(nil); errors.As(err, &refused) && refused.Status().Details != nil {
		for _, cause := range refused.Status().Details.Causes {
			fields = append(fields, cause.Field)
		}
	}
	log.FromContext(ctx).Info(message, "credential", key, "why", apierrors.ReasonForError(err), "fields", fields)
}
