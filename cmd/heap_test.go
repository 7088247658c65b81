// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

func TestGarbageBesideWhatIsInUse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		inUse  uint64
		want   int
		reason string
	}{
		{"nothing yet", 0, 300, "a process that begins is not held back, nor without a bound"},
		{"a small operator", 32 << 20, 200, "64 MiB may come beside 32"},
		{"as much as the room", 64 << 20, 100, "64 MiB may come beside 64"},
		{"between two steps", 58 << 20, 110, "small changes of what is in use change nothing"},
		{"tens of thousands of credentials", 256 << 20, 30, "a third of what is in use is room enough"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := gcPercent(test.inUse); got != test.want {
				t.Errorf("gcPercent(%d) = %d, want %d: %s", test.inUse, got, test.want, test.reason)
			}
		})
	}
}

// TestTheCollectorFollowsWhatIsInUse at once: until then a heap that has grown tenfold would
// grow by 300 percent.
func TestTheCollectorFollowsWhatIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	ctx, end := context.WithCancel(t.Context())
	defer func() { end(); debug.SetGCPercent(before) }()
	paceCollector(ctx)
	ballast := make([]byte, 2*heapRoom)
	set := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		runtime.GC()
		metrics.Read(set)
		return set[0].Value.Uint64() <= 50, nil
	}); err != nil {
		t.Errorf("%d percent of garbage may lie beside %d MiB in use, want 50 at most: %v", set[0].Value.Uint64(), len(ballast)>>20, err)
	}
	runtime.KeepAlive(ballast)
}

func TestMemoryIsGivenBackAtRest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		collections time.Duration // one after each of these; 0: none
		want        int           // in ten minutes
		reason      string
	}{
		{"at work", 20 * time.Second, 0, "what is given back would be asked for again at once"},
		{"at rest", 0, 9, "nothing comes for which room is kept"},
		{"next to no work", 90 * time.Second, 6, "there is a minute without a collection after each"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithTimeout(t.Context(), 10*time.Minute-time.Second)
				defer end()
				collected, adjusted, given := make(chan struct{}), 0, 0
				var group sync.WaitGroup
				defer group.Wait()
				if test.collections > 0 {
					group.Go(func() { collect(ctx, collected, test.collections) })
				}
				afterCollections(ctx, collected, func() { adjusted++ }, func() { given++ })
				if given != test.want {
					t.Errorf("memory is given back %d times, want %d: %s", given, test.want, test.reason)
				}
				if adjusted < 1+given {
					t.Errorf("the pace was set %d times, want it at first and after each collection", adjusted)
				}
			})
		})
	}
}

// collect says that garbage was collected, once in each period, until ctx ends.
func collect(ctx context.Context, collected chan<- struct{}, period time.Duration) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			collected <- struct{}{}
		case <-ctx.Done():
			return
		}
	}
}
