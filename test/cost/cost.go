// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cost tells fuzz targets what hostile input costs: processor time and memory,
// which stay the same on a machine that does much else, where the time on a clock does
// not. It counts what the whole process takes, so a test that runs beside others must
// not ask it.
package cost

import (
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// Cost is what a piece of work has taken.
type Cost struct {
	// Processor is the time that it kept processors busy, the system's share included.
	Processor time.Duration
	// Allocated is how many bytes it allocated in all, what was freed on the way included.
	Allocated uint64
}

// Of runs work, and tells what it took.
func Of(t testing.TB, work func()) Cost {
	t.Helper()
	before := sinceStart(t)
	work()
	after := sinceStart(t)
	return Cost{Processor: after.Processor - before.Processor, Allocated: after.Allocated - before.Allocated}
}

// sinceStart is what this process has taken so far.
func sinceStart(t testing.TB) Cost {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return Cost{Processor: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), Allocated: sample[0].Value.Uint64()}
}
