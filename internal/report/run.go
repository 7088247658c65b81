// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// writers is how many statuses are written at once. They are few, so that the
	// API server's time goes to tokens while there is much to do; when there is not,
	// two write some hundreds a second.
	writers = 2
	// yieldingRate is how many statuses are written a second while credentials wait for a
	// token: with their events they cost as much as a tenth or so of the tokens that could
	// be had, and what people look at still comes in turn.
	yieldingRate = 10
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

// Start writes statuses until ctx ends, and then what is still unwritten. The lane
// runs among the controllers, which the manager stops at the same time: what they add
// after that they write themselves, so that nothing depends on who ends first.
func (l *Lane) Start(ctx context.Context) error {
	turns := newTurns()
	l.open(turns)
	writeCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var writing sync.WaitGroup
	yielding := rate.NewLimiter(yieldingRate, 1)
	yield := func() {
		if l.TokensWait != nil && l.TokensWait() {
			_ = yielding.Wait(ctx) // it fails where the process ends: then all is written at once
		}
	}
	for range writers {
		writing.Go(func() { l.work(writeCtx, turns, yield) })
	}
	<-ctx.Done()
	bound := time.AfterFunc(lastTimeout, cancel) //nolint:forbidigo // it bounds the end of the process, and decides nothing
	defer bound.Stop()
	l.door.close()
	turns.end()
	writing.Wait()
	l.writeAll(writeCtx)
	return nil
}

// open lets writers come to what was added before the lane ran, and is from now on. What
// is added in between is asked for twice, which makes no difference.
func (l *Lane) open(turns *turns) {
	l.door.open(turns)
	for key, isUrgent := range l.book.unwritten() {
		l.door.enqueue(key, isUrgent)
	}
}

// work writes what comes, each after it has yielded. What cannot be written comes again after
// a pause of its own, and delays no other.
func (l *Lane) work(ctx context.Context, turns *turns, yield func()) {
	for {
		yield()
		key, isUrgent, ok := turns.next()
		if !ok {
			return
		}
		err := l.Write(ctx, key)
		if err != nil {
			if turns.failures(key) == failuresToLog {
				unwritten(ctx, "a status cannot be written; it is tried again", key, err)
			}
			turns.retry(key, isUrgent)
		}
		turns.done(key, err == nil)
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
	log.FromContext(ctx).Info(message, "credential", key, "why", apierrors.ReasonForError(err), "fields", refusedFields(err))
}

// refusedFields are those of an object that the API server does not take.
func refusedFields(err error) []string {
	var fields []string
	if refused := apierrors.APIStatus(nil); errors.As(err, &refused) && refused.Status().Details != nil {
		for _, cause := range refused.Status().Details.Causes {
			if cause.Field != "" && cause.Field != "<nil>" {
				fields = append(fields, cause.Field)
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(fields)))
}
