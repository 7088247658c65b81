// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// lookSize is how many waiters share a look: as many marks make a selector of
	// 3.5 KB in a URL, of which proxies take 8.
	lookSize = 100
	// concurrentLooks is how many looks may be in flight before a waiter joins
	// others: a few waiters do not wait for each other.
	concurrentLooks = 4
)

// looks lets all that wait for a look at the API server share the next one.
//
// A waiter joins a look that has not begun: one in flight may have passed by what a
// twin has written since. Whoever finds a free slot leads: it looks, in its own
// goroutine, for itself and all that wait, and then passes the slot to the first
// that has come since. An error goes to all that shared the look, except that of a
// leader whose context has ended: the others wait for the next one.
type looks struct {
	mu       sync.Mutex
	inFlight int
	waiting  []*waiter // while all slots are taken
}

// waiter is one that wants to know who bears a mark.
type waiter struct {
	mark  string
	woken chan struct{} // closed once it leads, or has its result

	// Under the lock of looks, or once woken.
	leads, gone bool
	found       []metav1.PartialObjectMetadata
	err         error
}

// lookFunc asks the API server for the Secrets that bear one of the marks.
type lookFunc func(ctx context.Context, marks []string) (marked, error)

// find returns the Secrets that bear a mark, by a look that begins after the call.
func (l *looks) find(ctx context.Context, mark string, look lookFunc) ([]metav1.PartialObjectMetadata, error) {
	w := &waiter{mark: mark, woken: make(chan struct{})}
	l.join(w)
	select {
	case <-w.woken:
	case <-ctx.Done():
		l.leave(w)
		return nil, ctx.Err()
	}
	if w.leads {
		l.lead(ctx, w, look)
	}
	return w.found, w.err
}

// lead looks for all that wait now. Its followers are never left without a result
// or another leader, even if the look panics.
func (l *looks) lead(ctx context.Context, leader *waiter, look lookFunc) {
	batch := l.take(leader)
	marks := make([]string, 0, len(batch))
	for _, w := range batch {
		marks = append(marks, w.mark)
	}
	slices.Sort(marks)
	complete := false
	var found marked
	var err error
	defer func() { l.finish(batch, found, err, complete) }()
	found, err = look(ctx, slices.Compact(marks))
	complete = err == nil || ctx.Err() == nil
}

// join gives a waiter a slot, or a place in the queue.
func (l *looks) join(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
	if l.inFlight < concurrentLooks {
		l.inFlight++
		l.pass()
	}
}

// leave gives up a waiter whose context has ended.
func (l *looks) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.gone = true
	l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter) bool { return other == w })
	if w.leads {
		l.pass()
	}
}

// take begins a look for its leader and the first that wait.
func (l *looks) take(leader *waiter) []*waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(lookSize-1, len(l.waiting))
	batch := append([]*waiter{leader}, l.waiting[:n]...)
	l.waiting = slices.Clone(l.waiting[n:])
	return batch
}

// finish gives a batch its result, its leader first, and passes the slot on. Where
// the look is not complete the followers wait for the next one, at the head.
func (l *looks) finish(batch []*waiter, found marked, err error, complete bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	leader, followers := batch[0], batch[1:]
	leader.found, leader.err = found[leader.mark], err
	if !complete {
		followers = slices.DeleteFunc(slices.Clone(followers), func(w *waiter) bool { return w.gone })
		l.waiting = append(followers, l.waiting...)
		followers = nil
	}
	for _, w := range followers {
		w.found, w.err = found[w.mark], err
		close(w.woken)
	}
	l.pass()
}

// pass gives a slot to the first that waits, or frees it.
func (l *looks) pass() {
	if len(l.waiting) == 0 {
		l.inFlight--
		return
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	next.leads = true
	close(next.woken)
}
