// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func sorted[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

// TestNoTokenIsLostInSilence plays random histories: 100, or as many as
// -rapid.checks says.
func TestNoTokenIsLostInSilence(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "faults of any kind in any order, and then no more")
	shared, err := newShared(memory(t))
	if err != nil {
		t.Fatal(err)
	}
	shared.began = time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) { // where one can know that every visit waits
			w := newWorld(rt, shared, drawSetup(rt))
			defer w.end()
			rt.Repeat(w.actions())
			w.settle(rt)
			if rapid.Bool().Draw(rt, "then somebody does what is said") {
				w.mend()
			}
			w.stats.Histories++
		})
		shared.progress(false)
	})
	shared.progress(true)
	t.Logf("%s in %s", shared.stats, time.Since(shared.began).Round(time.Millisecond))
}

// memory is a directory for spools, in memory where the system has one.
func memory(t *testing.T) string {
	t.Helper()
	const inMemory = "/dev/shm"
	if _, err := os.Stat(inMemory); err != nil {
		return t.TempDir()
	}
	directory, err := os.MkdirTemp(inMemory, "history-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

// stats of many histories.
type stats struct {
	Histories, Steps, Effects, Visits, Sends, Answers, Retries, Faults, Crashes, Told, Spooled int
}

func (s stats) String() string {
	return fmt.Sprintf("%d histories, %d steps, %d visits, %d effects, %d faults, %d crashes, %d sends (%d answered, %d the one retry of a spent token), %d lost or in doubt and told, %d found in a spool",
		s.Histories, s.Steps, s.Visits, s.Effects, s.Faults, s.Crashes, s.Sends, s.Answers, s.Retries, s.Told, s.Spooled)
}

func (s stats) plus(o stats) stats {
	return stats{
		s.Histories + o.Histories, s.Steps + o.Steps, s.Effects + o.Effects, s.Visits + o.Visits, s.Sends + o.Sends,
		s.Answers + o.Answers, s.Retries + o.Retries, s.Faults + o.Faults, s.Crashes + o.Crashes, s.Told + o.Told, s.Spooled + o.Spooled,
	}
}

// progress writes the figures as a line of JSON, every ten seconds, for whoever
// asked for them by the variable reports of the environment.
func (s *shared) progress(end bool) {
	if s.reports == nil || !end && time.Since(s.reported) < 10*time.Second {
		return
	}
	s.reported = time.Now()
	_ = json.NewEncoder(s.reports).Encode(s.stats)
}

// reportsTo is the variable of the environment that names the file for reports.
const reportsTo = "HISTORY_REPORTS"

func openReports() io.Writer {
	name := os.Getenv(reportsTo)
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return file
}
