// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
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
	// heapLook is how often what is in use is looked at.
	heapLook = 10 * time.Second
)

// paceCollector sets how often garbage is collected by how much memory is in use,
// until ctx ends. Where GOGC is set, that holds instead.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	set := 0
	go wait.UntilWithContext(ctx, func(context.Context) {
		if percent := gcPercent(heapInUse()); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
	}, heapLook)
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
