// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// runs runs the lane until end is called, which waits for it.
func (w *world) runs(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { w.do(w.Start(ctx)) })
	return func() {
		cancel()
		running.Wait()
	}
}

// held fails where the lane holds anything although the cache has caught up.
func (w *world) held() {
	for _, known := range w.Unwritten() {
		w.t.Errorf("the status of %s is not written", known.Name)
	}
	for key := range w.book.entries {
		w.Seen(w.get(key.Name))
	}
	if len(w.book.entries) > 0 {
		w.t.Errorf("the lane holds %d credentials although all is written and cached", len(w.book.entries))
	}
}

func some(n int, prefix string) []string {
	var names []string
	for i := range n {
		names = append(names, prefix+strconv.Itoa(i))
	}
	return names
}

// The tests below run in bubbles of testing/synctest: the time is the bubble's, and
// Wait returns once nothing is left to do but wait for it.

func TestLaneWritesWhatIsUrgentFirst(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		add          func(w *world)
		first        []string
	}{
		{"urgent ones come last", "who waits for a person goes ahead of who is well",
			func(w *world) {
				for _, name := range append(some(6, "calm"), some(2, "urgent")...) {
					w.addOf(name, name[0] == 'u')
				}
			}, []string{"urgent0", "urgent1"}},
		{"an urgent update is followed by one that is not", "the write that both share is urgent still",
			func(w *world) {
				for _, name := range append(some(6, "calm"), some(2, "urgent")...) {
					w.addOf(name, name[0] == 'u')
				}
				for _, name := range some(2, "urgent") {
					w.addOf(name, false)
				}
			}, []string{"urgent0", "urgent1"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, append(some(6, "calm"), some(2, "urgent")...)...)
				w.before = func(context.Context, types.NamespacedName) error { time.Sleep(time.Second); return nil }
				each.add(w) // before the lane runs: nothing is lost
				end := w.runs(t.Context())
				defer end()
				time.Sleep(time.Minute)
				synctest.Wait()
				first := slices.Sorted(slices.Values(w.order[:2]))
				if diff := cmp.Diff(each.first, first); diff != "" || len(w.order) != 8 {
					t.Errorf("of %d writes these came first (-want +got)\n%sreason: %s", len(w.order), diff, each.reason)
				}
				w.held()
			})
		})
	}
}

// TestTokensGoFirst has statuses of many first tokens come while more tokens are to come.
func TestTokensGoFirst(t *testing.T) {
	t.Parallel()
	const all, span = 10 * yieldingRate, 4 // seconds
	for _, each := range []struct {
		name, reason string
		wait, ends   bool
		least, most  int // written after the span
	}{
		{"credentials wait for a token", "the API server's time goes to tokens, and statuses still come in turn", true, false,
			span*yieldingRate - writers, span*yieldingRate + 1 + writers},
		{"nobody waits", "there is room: statuses are written as fast as the API server takes them", false, false, all, all},
		{"the process ends", "what is unwritten is written at once", true, true, all, all},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, some(all, "first")...)
				w.TokensWait = func() bool { return each.wait }
				end := w.runs(t.Context())
				for _, name := range some(all, "first") {
					w.addOf(name, true)
				}
				if each.ends {
					end()
				}
				time.Sleep(span * time.Second)
				synctest.Wait()
				var written int
				w.note(func() { written = len(w.order) })
				if written < each.least || written > each.most {
					t.Errorf("%d statuses are written after %d s, want %d to %d\nreason: %s", written, span, each.least, each.most, each.reason)
				}
				end()
				w.held()
			})
		})
	}
}

func (w *world) addOf(name string, urgent bool) {
	cached := w.get(name)
	u := update(w.Current(cached), w.Current(cached).Status.RefreshCount+1, "a")
	u.Urgent = urgent
	w.Add(cached, u)
}

// TestUrgencyEndsWithItsWrite adds a calm update while an urgent one is being written.
func TestUrgencyEndsWithItsWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addOf(shop.Name, true)
	w.before = once(func() error { w.addOf(shop.Name, false); return nil })
	w.do(w.Write(t.Context(), shop))
	if w.book.entries[shop].unwritten.urgent {
		t.Error("the calm update is urgent: a credential that changes often would be so for good")
	}
}

// TestLaneIsNotHeldUp has one credential whose status cannot be written, ever.
func TestLaneIsNotHeldUp(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		refuse       func(ctx context.Context) error
		within       time.Duration // the others are written
		logged       int           // lines within a quarter of an hour
	}{
		{"an older CRD refuses it", "it is tried again at longer and longer pauses, and is logged once",
			func(context.Context) error { return unknownField }, 0, 1},
		{"the API server does not answer", "a request takes one of two writers for a bounded time",
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 0, 1},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, some(20, "well")...)
				logged, tries, mended := 0, 0, false
				ctx := log.IntoContext(t.Context(), funcr.New(func(_, _ string) { w.note(func() { logged++ }) }, funcr.Options{}))
				w.before = func(ctx context.Context, key types.NamespacedName) error {
					if key != shop {
						return nil
					}
					var well bool
					if w.note(func() { tries++; well = mended }); well {
						return nil
					}
					return each.refuse(ctx)
				}
				w.addOf(shop.Name, true)
				end := w.runs(ctx)
				for _, name := range some(20, "well") {
					w.addOf(name, false)
				}
				time.Sleep(each.within)
				synctest.Wait()
				if len(w.order) != 20 {
					t.Errorf("%d of 20 others are written after %s\nreason: %s", len(w.order), each.within, each.reason)
				}
				time.Sleep(15 * time.Minute)
				synctest.Wait()
				if tries < 14 || tries > 60 {
					t.Errorf("it was tried %d times in a quarter of an hour\nreason: %s", tries, each.reason)
				}
				if logged != each.logged {
					t.Errorf("%d lines were logged, want %d\nreason: %s", logged, each.logged, each.reason)
				}
				w.note(func() { mended = true })
				time.Sleep(time.Minute)
				end()
				w.held()
			})
		})
	}
}

// TestLaneEnds tells the lane to end, with statuses unwritten.
func TestLaneEnds(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		before       func(w *world) func(context.Context, types.NamespacedName) error
		left         int
		within       time.Duration
	}{
		{"the API server is well", "what waits is written before the process ends",
			func(*world) func(context.Context, types.NamespacedName) error {
				return func(context.Context, types.NamespacedName) error { return nil }
			}, 0, 0},
		{"what waits has failed, and pauses", "the last write does not wait for the pause",
			func(w *world) func(context.Context, types.NamespacedName) error {
				failed := map[types.NamespacedName]int{}
				return func(_ context.Context, key types.NamespacedName) error {
					w.mu.Lock()
					defer w.mu.Unlock()
					if failed[key]++; failed[key] < 10 { // the tenth would be minutes later
						return forbidden
					}
					return nil
				}
			}, 10, 0},
		{"the API server is slow", "more write at once than before",
			func(*world) func(context.Context, types.NamespacedName) error {
				return func(context.Context, types.NamespacedName) error { time.Sleep(time.Second); return nil }
			}, 0, 3 * time.Second},
		{"the API server refuses", "each is tried once more, and then left to the next process",
			func(*world) func(context.Context, types.NamespacedName) error {
				return func(context.Context, types.NamespacedName) error { return forbidden }
			}, 10, 0},
		{"the API server does not answer", "the process ends all the same",
			func(*world) func(context.Context, types.NamespacedName) error {
				return func(ctx context.Context, _ types.NamespacedName) error { <-ctx.Done(); return ctx.Err() }
			}, 10, lastTimeout},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				names := some(10, "shop")
				w := newWorld(t, names...)
				w.before = each.before(w)
				end := w.runs(t.Context())
				for _, name := range names {
					w.addOf(name, false)
				}
				synctest.Wait()
				told := time.Now()
				end()
				if took := time.Since(told); took > each.within {
					t.Errorf("it took %s, want %s at most\nreason: %s", took, each.within, each.reason)
				}
				if left := len(w.Unwritten()); left != each.left {
					t.Errorf("%d are unwritten, want %d\nreason: %s", left, each.left, each.reason)
				}
				if len(w.events) != 10-each.left {
					t.Errorf("%d events, want one for each of %d that are written", len(w.events), 10-each.left)
				}
			})
		})
	}
}

// TestNothingIsLostAtTheEnd adds from many goroutines while the lane is told to end,
// and after it has ended.
func TestNothingIsLostAtTheEnd(t *testing.T) {
	t.Parallel()
	const adders, updates = 8, 25
	names := some(adders, "shop")
	w := newWorld(t, names...)
	end := w.runs(t.Context())
	var adding sync.WaitGroup
	for n, name := range names {
		adding.Go(func() {
			for i := range updates {
				if n == 0 && i == updates/2 {
					end()
				}
				cached := w.get(name)
				u := update(w.Current(cached), int64(i+1), fmt.Sprintf("%s-%d", name, i))
				u.Rebase = func(v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus { return u.Status }
				w.Add(cached, u)
				w.Seen(w.get(name))
			}
		})
	}
	adding.Wait()
	end()
	w.held()
	for _, name := range names {
		if got := w.get(name).Status.RefreshCount; got != updates {
			t.Errorf("the status of %s has %d refreshes, want %d", name, got, updates)
		}
	}
	if got := len(slices.Compact(slices.Sorted(slices.Values(w.events)))); got != len(w.events) || got == 0 {
		t.Errorf("%d events, of which %d differ", len(w.events), got)
	}
}
