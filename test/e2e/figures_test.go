// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// figures are what a run has measured, in order.
var figures struct {
	sync.Mutex
	rows []figure
}

type figure struct{ scenario, what, value string }

// report logs a figure, and keeps it for the page.
func report(t *testing.T, what, format string, arguments ...any) {
	t.Helper()
	value := fmt.Sprintf(format, arguments...)
	t.Logf("%s: %s", what, value)
	figures.Lock()
	defer figures.Unlock()
	figures.rows = append(figures.rows, figure{t.Name(), what, value})
}

const (
	page  = "../../docs/e2e.md"
	begin = "<!-- figures: written by `make e2e`; do not edit -->"
	end   = "<!-- end of the figures -->"
)

// writeFigures puts the figures of a whole run that passed into the page.
func writeFigures(passed bool) error {
	if part := flag.Lookup("test.run").Value.String(); !passed || testing.Short() || part != "" {
		return nil
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for them: it is between %q and %q", page, begin, end)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n\nA run of %s on %s, %d processors, %s.\n\n| test | measured | figure |\n|---|---|---|\n",
		time.Since(env.started).Round(time.Minute), env.started.UTC().Format(time.DateOnly), runtime.NumCPU(), kubernetesVersion())
	for _, each := range figures.rows {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", each.scenario, each.what, each.value)
	}
	return os.WriteFile(page, []byte(before+begin+table.String()+"\n"+end+after), 0o644)
}

// summary of durations.
func summary(of []time.Duration) string {
	if len(of) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, median %s, p95 %s, longest %s", len(of), percentile(of, 0.5), percentile(of, 0.95), percentile(of, 1))
}

// percentile of durations, of which there is at least one.
func percentile(of []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Round(100 * time.Millisecond)
}
