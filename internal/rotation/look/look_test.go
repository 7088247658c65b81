// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package look

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errCanary = errors.New("canary")

// A lookout is an API server whose looks wait until they are let go. Each answers
// with its own number, so that a test sees which look served a waiter.
type lookout struct {
	mu      sync.Mutex
	batches [][]string
	letGo   chan error
}

func (l *lookout) look(ctx context.Context, marks []string) (map[string]int, error) {
	l.mu.Lock()
	l.batches = append(l.batches, marks)
	number := len(l.batches)
	l.mu.Unlock()
	select {
	case err := <-l.letGo:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found := map[string]int{}
	for _, mark := range marks {
		found[mark] = number
	}
	return found, nil
}

// begun is how many looks have.
func (l *lookout) begun() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.batches)
}

// result is what a waiter got.
type result struct {
	look int // that served it
	err  error
}

// await starts a waiter, and returns where its result will be.
func (l *lookout) await(ctx context.Context, looks *Looks[int], mark string) *result {
	got := &result{}
	go func() {
		found, err := looks.Find(ctx, mark, l.look)
		got.look, got.err = found, err
	}()
	synctest.Wait()
	return got
}

// occupy fills all slots but the given number.
func (l *lookout) occupy(t *testing.T, looks *Looks[int], free int) {
	t.Helper()
	for range concurrent - free {
		l.await(t.Context(), looks, "busy")
	}
}

func (l *lookout) release(n int, err error) {
	for range n {
		l.letGo <- err
		synctest.Wait()
	}
}

func TestAFewWaitersLookForThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		first, second := l.await(t.Context(), looks, "a"), l.await(t.Context(), looks, "b")
		if len(l.batches) != 2 {
			t.Fatalf("%d looks are in flight, want one for each waiter", len(l.batches))
		}
		l.release(2, nil)
		if first.look+second.look != 3 || looks.inFlight != 0 {
			t.Errorf("the looks %d and %d served them, %d in flight", first.look, second.look, looks.inFlight)
		}
	})
}

func TestManyWaitersShareTheNextLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		l.occupy(t, looks, 0)
		var waiters []*result
		for i := range size + 50 {
			waiters = append(waiters, l.await(t.Context(), looks, fmt.Sprintf("mark-%03d", i)))
		}
		if len(l.batches) != concurrent {
			t.Fatal("a waiter has joined a look that had begun")
		}
		l.release(1, nil)
		if got := len(l.batches[concurrent]); got != size {
			t.Fatalf("the next look is for %d, want %d", got, size)
		}
		l.release(concurrent+1, nil)
		for i, w := range waiters {
			want := concurrent + 1 + i/size
			if w.look != want || w.err != nil {
				t.Fatalf("waiter %d got the look %d (%v), want %d", i, w.look, w.err, want)
			}
		}
		if looks.inFlight != 0 || len(looks.waiting) != 0 {
			t.Errorf("%d in flight, %d waiting", looks.inFlight, len(looks.waiting))
		}
	})
}

func TestAFloodSharesFewLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks, begun := &Looks[int]{Pace: NewPace()}, atomic.Int64{}
		look := func(context.Context, []string) (map[string]int, error) {
			begun.Add(1)
			return nil, nil
		}
		for i := range 100 { // in a second
			time.Sleep(10 * time.Millisecond)
			go func() { _, _ = looks.Find(t.Context(), fmt.Sprint(i), look) }()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if most := int64(concurrent + 100/enough + time.Second/pause); begun.Load() > most {
			t.Errorf("a hundred waiters in a second began %d looks, want %d at most", begun.Load(), most)
		}
		looks.mu.Lock()
		defer looks.mu.Unlock()
		if looks.inFlight != 0 || len(looks.waiting) != 0 {
			t.Errorf("%d in flight, %d waiting", looks.inFlight, len(looks.waiting))
		}
	})
}

func TestOneMarkIsAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		l.occupy(t, looks, 0)
		first, second := l.await(t.Context(), looks, "a"), l.await(t.Context(), looks, "a")
		l.release(concurrent+1, nil)
		if got := l.batches[concurrent]; !slices.Equal(got, []string{"a"}) || first.look != second.look || first.look == 0 {
			t.Errorf("asked for %v, got the looks %d and %d", got, first.look, second.look)
		}
	})
}

func TestAnErrorGoesToAllThatSharedTheLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		l.occupy(t, looks, 0)
		first, second := l.await(t.Context(), looks, "a"), l.await(t.Context(), looks, "b")
		l.release(concurrent, nil)
		l.release(1, errCanary)
		if !errors.Is(first.err, errCanary) || !errors.Is(second.err, errCanary) || looks.inFlight != 0 {
			t.Errorf("got %v and %v, %d in flight", first.err, second.err, looks.inFlight)
		}
	})
}

func TestAWaiterLeavesWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		l.occupy(t, looks, 0)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := l.await(ctx, looks, "a"), l.await(t.Context(), looks, "b")
		cancel()
		synctest.Wait()
		if !errors.Is(first.err, context.Canceled) {
			t.Fatalf("it still waits: %v", first.err)
		}
		l.release(concurrent+1, nil)
		if second.look == 0 || looks.inFlight != 0 {
			t.Errorf("the other got the look %d, %d in flight", second.look, looks.inFlight)
		}
	})
}

func TestALeaderThatEndsLeavesItsFollowersToTheNextLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		l.occupy(t, looks, 0)
		ctx, cancel := context.WithCancel(t.Context())
		followers, follow := context.WithCancel(t.Context())
		leader := l.await(ctx, looks, "a")
		left := l.await(followers, looks, "b")
		stays := l.await(t.Context(), looks, "c")
		l.release(concurrent, nil)
		follow() // one follower ends during the look
		synctest.Wait()
		cancel() // and then the leader
		synctest.Wait()
		if !errors.Is(leader.err, context.Canceled) || !errors.Is(left.err, context.Canceled) || stays.err != nil {
			t.Fatalf("got %v, %v and %v", leader.err, left.err, stays.err)
		}
		l.release(1, nil)
		if stays.look != concurrent+2 || looks.inFlight != 0 {
			t.Errorf("the last got the look %d, %d in flight", stays.look, looks.inFlight)
		}
	})
}

func TestALookThatPanicsLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{}
		l.occupy(t, looks, 1)
		panics := make(chan struct{})
		go func() {
			defer func() { _ = recover() }()
			_, _ = looks.Find(t.Context(), "a", func(context.Context, []string) (map[string]int, error) {
				<-panics
				panic("a client that panics")
			})
		}()
		synctest.Wait()
		waiter := l.await(t.Context(), looks, "b")
		close(panics)
		synctest.Wait()
		l.release(concurrent, nil)
		if waiter.look == 0 || waiter.err != nil || looks.inFlight != 0 {
			t.Errorf("got the look %d (%v), %d in flight", waiter.look, waiter.err, looks.inFlight)
		}
	})
}

func TestEnoughWaitersDoNotWaitForTheLooksTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		waiters int
		begins  bool
	}{
		{"one fewer than enough wait for the next turn", enough - 1, false},
		{"enough of them go at once", enough, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, looks := &lookout{letGo: make(chan error)}, &Looks[int]{Pace: NewPace()}
				looks.Pace.ReserveN(time.Now(), concurrent) // there were looks a moment ago
				var waiters []*result
				for i := range c.waiters {
					waiters = append(waiters, l.await(t.Context(), looks, fmt.Sprintf("mark-%d", i)))
				}
				if begun := l.begun() == 1; begun != c.begins {
					t.Errorf("a look has begun: %t, for %d waiters", begun, c.waiters)
				}
				time.Sleep(pause)
				l.release(1, nil)
				for i, w := range waiters {
					if w.look != 1 || w.err != nil {
						t.Errorf("waiter %d got the look %d (%v), want the first", i, w.look, w.err)
					}
				}
				if looks.inFlight != 0 || looks.leader != nil || len(looks.waiting) != 0 {
					t.Errorf("%d in flight, %v leads, %d wait", looks.inFlight, looks.leader, len(looks.waiting))
				}
			})
		})
	}
}
