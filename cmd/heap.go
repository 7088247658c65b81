// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapRoom is by how many bytes the heap may grow between two collections at
	// least. Most of what is in use are caches, which change little: collecting them
	// whenever a few MiB have been allocated costs half of the processor time of a
	// refresh.
	heapRoom = 64 << 20
	// leastGCPercent is how much garbage may lie beside what is in use, in percent of
	// it, where that is more than heapRoom: less than usual, since tens of thousands
	// of credentials would otherwise double the memory of the pod.
	leastGCPercent = 30
	// mostGCPercent bounds it while next to nothing is in use.
	mostGCPercent = 300
	// restfulPause without a collection is that of a process at rest, whose garbage fills
	// heapRoom in hours.
	restfulPause = time.Minute
)

// paceCollector sets how often garbage is collected by how much memory is in use, after
// each collection, until ctx ends: with the percentage for what was in use before, a burst
// of large objects would let the heap grow to four times of what they take. At rest the room
// for garbage is given back: the runtime itself would keep most of it. Where GOGC is set, that
// holds instead.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	collected, set := make(chan struct{}, 1), 0
	notifyCollected(ctx, collected)
	go afterCollections(ctx, collected, func() {
		if percent := gcPercent(heapInUse()); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
	}, debug.FreeOSMemory)
}

// afterCollections calls adjust at once and after each collection, and giveBack, which is
// one, after each restfulPause without any, until ctx ends.
func afterCollections(ctx context.Context, collected <-chan struct{}, adjust, giveBack func()) {
	rest := time.NewTimer(restfulPause)
	defer rest.Stop()
	for {
		adjust()
		select {
		case <-collected:
		case <-rest.C:
			giveBack()
		case <-ctx.Done():
			return
		}
		rest.Reset(restfulPause)
	}
}

// notifyCollected sends after each collection until ctx ends: an object that nobody uses is
// found by the next one, and makes way for another.
func notifyCollected(ctx context.Context, collected chan<- struct{}) {
	unused := new([16]byte) // smaller ones share a block, which may be in use
	runtime.AddCleanup(unused, func(collected chan<- struct{}) {
		select {
		case collected <- struct{}{}:
		default:
		}
		if ctx.Err() == nil {
			notifyCollected(ctx, collected)
		}
	}, collected)
}

// gcPercent is how much garbage may lie beside so many bytes in use, in steps of ten
// percent.
func gcPercent(inUse uint64) int {
	percent := heapRoom * 100 / max(inUse, 1)
	return int(min(max(percent, leastGCPercent), mostGCPercent) / 10 * 10)
}

// heapInUse is how many bytes the last collection found in use.
func heapInUse() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}
