// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package look lets all that wait for an answer of the API server share the question: a
// process that begins with thousands of credentials asks for hundreds of them at once. It
// knows neither what is asked for nor how.
package look

import (
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
	// few, while few wait. Each goes through all Secrets of the cluster: for each first
	// token of its own a look would be a third of the cost.
	pause = 200 * time.Millisecond
	// enough is how many share a look that does not wait for its time: as many calls as a
	// namespace may have in flight to one host, by default, so that not all wait in vain.
	enough = 16
)

// NewPace is how often looks begin that go through all Secrets of a cluster.
func NewPace() *rate.Limiter { return rate.NewLimiter(rate.Every(pause), concurrent) }

// Looks lets all that wait for a look at the API server share the next one; T is what is
// found for each. Its zero value is ready to use. Safe for concurrent use.
//
// A waiter joins a look that has not begun: one in flight may have passed by what a
// twin has written since. One waiter leads: it gathers others until the look's time has
// come or enough are there, and looks, in its own goroutine, for all of them; the first
// that comes then leads the next look. An error goes to all that shared the look, except
// that of a leader whose context has ended: the others wait for the next one.
type Looks[T any] struct {
	// Pace is how often looks begin for few waiters; nil: whenever there is a free slot.
	Pace *rate.Limiter

	mu       sync.Mutex
	inFlight int
	leader   *waiter[T] // of the look that begins next; nil: all slots are taken, or nobody waits
	waiting  []*waiter[T]
}

// waiter is one that wants to know who bears a mark.
type waiter[T any] struct {
	mark    string
	woken   chan struct{} // closed once it leads, or has its result
	crowded chan struct{} // told to a leader once enough wait

	// Under the lock of Looks, or once woken.
	leads, gone bool
	found       T
	err         error
}

// Func asks the API server for what bears one of the marks, and returns it by mark.
type Func[T any] func(ctx context.Context, marks []string) (map[string]T, error)

// Find returns what bears a mark, by a look that begins after the call.
func (l *Looks[T]) Find(ctx context.Context, mark string, look Func[T]) (T, error) {
	w := &waiter[T]{mark: mark, woken: make(chan struct{}), crowded: make(chan struct{}, 1)}
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
	if err := l.turn(ctx, leader); err != nil {
		leader.err = err
		l.leave(leader)
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
func (l *Looks[T]) turn(ctx context.Context, leader *waiter[T]) error {
	if l.Pace == nil {
		return nil
	}
	turn := l.Pace.Reserve()
	if turn.Delay() == 0 {
		return nil
	}
	timer := time.NewTimer(turn.Delay()) //nolint:forbidigo // as rate.Limiter waits: it decides nothing
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-leader.crowded: // it takes no turn of the few
		turn.Cancel()
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return ctx.Err()
	}
}

// join has a waiter wait for the next look, which it may have to lead.
func (l *Looks[T]) join(w *waiter[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
	l.gather()
}

// leave gives up a waiter whose context has ended.
func (l *Looks[T]) leave(w *waiter[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.gone = true
	l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter[T]) bool { return other == w })
	if l.leader == w {
		l.leader = nil
		l.gather()
	}
}

// take begins a look for its leader and the first that wait.
func (l *Looks[T]) take(leader *waiter[T]) []*waiter[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(size-1, len(l.waiting))
	batch := append([]*waiter[T]{leader}, l.waiting[:n]...)
	l.waiting = slices.Clone(l.waiting[n:])
	l.leader = nil
	l.inFlight++
	l.gather()
	return batch
}

// finish gives a batch its result, its leader first, and frees the slot. Where
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
	l.inFlight--
	l.gather()
}

// gather has the first that waits lead the next look once there is a slot for it, and
// tells a leader that enough wait.
func (l *Looks[T]) gather() {
	if l.leader == nil && l.inFlight < concurrent && len(l.waiting) > 0 {
		l.leader, l.waiting = l.waiting[0], l.waiting[1:]
		l.leader.leads = true
		close(l.leader.woken)
	}
	if l.leader != nil && len(l.waiting) >= enough-1 {
		select {
		case l.leader.crowded <- struct{}{}:
		default: // it knows
		}
	}
}
