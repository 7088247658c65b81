// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stats of many histories.
type stats struct {
	Histories, Steps, Effects, Visits, Sends, Answers, Retries, Faults, Crashes, Told, Spooled int
}

func (s stats) String() string {
	return fmt.Sprintf("%d histories, %d steps, %d visits, %d effects, %d faults, %d crashes, %d sends (%d answered, %d allowed retries of a spent token), %d told, %d found in a spool",
		s.Histories, s.Steps, s.Visits, s.Effects, s.Faults, s.Crashes, s.Sends, s.Answers, s.Retries, s.Told, s.Spooled)
}

func sorted[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

func TestNoTokenIsLostInSilence(t *testing.T) {
	t.Parallel()
	shared, err := newShared(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	began, told := time.Now(), time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, shared)
		defer w.end()
		rt.Repeat(w.actions())
		w.settle()
		w.stats.Histories++
		if os.Getenv("PROGRESS") != "" && time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintln(os.Stderr, shared.stats)
		}
	})
	t.Logf("%s in %s", shared.stats, time.Since(began).Round(time.Millisecond))
}
