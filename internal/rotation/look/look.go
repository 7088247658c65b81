// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package look lets all that wait for an answer of the API server share the question: a
// process that begins with thousands of credentials asks for hundreds of them at once. It
// knows neither what is asked for nor how.
package look

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// size is how many waiters share a look: as many marks make a selector of
	// 4.4 KB in a URL, of which proxies take 8.
	size = 100
	// concurrent is how many looks may be in flight or gather waiters before one
	// joins others: a few waiters do not wait for each other.
	concurrent = 4
	// pause is how much time lies between the beginnings of looks, but for the first
	// few. Each goes through all Secrets of the cluster: at a hundred first tokens a
	// second twenty share one, and a look would be a third of their cost otherwise.
	pause = 200 * time.Millisecond
)

// NewPace is how often looks begin that go through all Secrets of a cluster.
func NewPace() *rate.Limiter { return rate.NewLimiter(rate.Every(pause), concurrent) }

// Looks lets all that wait for a look at the API server share the next one; T is what is
// found for each. Its zero value is ready to use. Safe for concurrent use.
//
// A waiter joins a look that has not begun: one in flight may have passed by what a
// twin has written since. Whoever finds a free slot leads: it looks, in its own
// goroutine, for itself and all that wait, and then passes the slot to the first
// that has come since. An error goes to all that shared the look, except that of a
// leader whose context has ended: the others wait for the next one.
type Looks[T any] struct {
	// Pace is how often looks begin; nil: whenever there is a free slot.
	Pace *rate.Limiter

	mu       sync.Mutex
	inFlight int
	waiting  []*waiter[T] // while all slots are taken
}

// waiter is one that wants to know who bears a mark.
type waiter[T any] struct {
	mark  string
	woken chan struct{} // closed once it leads, or has its result

	// Under the lock of Looks, or once woken.
	leads, gone bool
	found       T
	err         error
}

// Func asks the API server for what bears one of the marks, and returns it by mark.
type Func[T any] func(ctx context.Context, marks []string) (map[string]T, error)

// Find returns what bears a mark, by a look that begins after the call.
func (l *Looks[T]) Find(ctx context.Context, mark string, look Func[T]) (T, error) {
	w := &waiter[T]{mark: mark, woken: make(chan struct{})}
	l.join(w)
	select {
	case <-w.woken:
	case <-ctx.Done():
		l.leave(w)
		var none T
		return none, ctx.Err()
	}
	if w.leads {
		l.lead(ctx, w, look)
	}
	return w.found, w.err
}

// lead looks for all that wait now. Its followers are never left without a result
// or another leader, even if the look panics.
func (l *Looks[T]) lead(ctx context.Context, leader *waiter[T], look Func[T]) {
	if err := l.turn(ctx); err != nil {
		l.finish([]*waiter[T]{leader}, nil, err, false)
		return
	}
	batch := l.take(leader)
	marks := make([]string, 0, len(batch))
	for _, w := range batch {
		marks = append(marks, w.mark)
	}
	slices.Sort(marks)
	complete := false
	var found map[string]T
	var err error
	defer func() { l.finish(batch, found, err, complete) }()
	found, err = look(ctx, slices.Compact(marks))
	complete = err == nil || ctx.Err() == nil
}

// turn waits until a look may begin.
func (l *Looks[T]) turn(ctx context.Context) error {
	if l.Pace != nil && l.Pace.Wait(ctx) != nil { // it would be later than ctx allows, or that has ended
		return cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	return nil
}

// join gives a waiter a slot, or a place in the queue.
func (l *Looks[T]) join(w *waiter[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
	if l.inFlight < concurrent {
		l.inFlight++
		l.pass()
	}
}

// leave gives up a waiter whose context has ended.
func (l *Looks[T]) leave(w *waiter[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.gone = true
	l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter[T]) bool { return other == w })
	if w.leads {
		l.pass()
	}
}

// take begins a look for its leader and the first that wait.
func (l *Looks[T]) take(leader *waiter[T]) []*waiter[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(size-1, len(l.waiting))
	batch := append([]*waiter[T]{leader}, l.waiting[:n]...)
	l.waiting = slices.Clone(l.waiting[n:])
	return batch
}

// finish gives a batch its result, its leader first, and passes the slot on. Where
// the look is not complete the followers wait for the next one, at the head.
func (l *Looks[T]) finish(batch []*waiter[T], found map[string]T, err error, complete bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	leader, followers := batch[0], batch[1:]
	leader.found, leader.err = found[leader.mark], err
	if !complete {
		followers = slices.DeleteFunc(slices.Clone(followers), func(w *waiter[T]) bool { return w.gone })
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
func (l *Looks[T]) pass() {
	if len(l.waiting) == 0 {
		l.inFlight--
		return
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	next.leads = true
	close(next.woken)
}
