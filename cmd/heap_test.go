// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

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
