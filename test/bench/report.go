// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one number of the report.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal,omitempty"`
	// OK tells whether the goal is met; nil: there is none.
	OK *bool `json:"ok,omitempty"`
}

// result of one scenario.
type result struct {
	Scenario string   `json:"scenario"`
	About    string   `json:"about"`
	Took     string   `json:"took"`
	Figures  []figure `json:"figures"`
	// Notes say what the figures alone do not.
	Notes []string `json:"notes,omitempty"`
	Error string   `json:"error,omitempty"`
}

// add takes in a figure without a goal. One that is no number, since nothing came
// to be measured, is left out.
func (r *result) add(name string, value float64, unit string) {
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		r.Figures = append(r.Figures, figure{Name: name, Value: rounded(value), Unit: unit})
	}
}

// goal is what a figure should be.
type goal struct {
	most  bool
	bound float64
	// why the bound is what it is, where it is derived; empty elsewhere.
	why string
}

func atMost(bound float64) goal  { return goal{most: true, bound: bound} }
func atLeast(bound float64) goal { return goal{bound: bound} }

// because adds how the bound is derived.
func (g goal) because(format string, arguments ...any) goal {
	g.why = fmt.Sprintf(format, arguments...)
	return g
}

func (g goal) String() string {
	text := "≥ " + number(rounded(g.bound))
	if g.most {
		text = "≤ " + number(rounded(g.bound))
	}
	if g.why != "" {
		text += " (" + g.why + ")"
	}
	return text
}

func (g goal) met(value float64) bool {
	if g.most {
		return value <= g.bound
	}
	return value >= g.bound
}

// judge takes in a figure with a goal. What could not be measured misses it.
func (r *result) judge(name string, value float64, unit string, g goal) {
	ok := g.met(value)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		r.note("%s could not be measured", name)
		value, ok = 0, false
	}
	r.Figures = append(r.Figures, figure{Name: name, Value: rounded(value), Unit: unit, Goal: g.String(), OK: &ok})
}

func (r *result) note(format string, arguments ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, arguments...))
}

// rounded keeps four significant digits, and all of a whole number.
func rounded(value float64) float64 {
	if value == 0 || math.Abs(value) >= 1000 {
		return math.Round(value)
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(value))))
	return math.Round(value*scale) / scale
}

// number prints a value with no more digits than it has.
func number(value float64) string {
	text := fmt.Sprintf("%.3f", value)
	if math.Abs(value) >= 100 {
		text = fmt.Sprintf("%.1f", value)
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func (f figure) verdict() string {
	switch {
	case f.OK == nil:
		return ""
	case *f.OK:
		return "met"
	default:
		return "MISSED"
	}
}

// print writes the result as a table for a terminal.
func (r *result) print(output io.Writer) {
	fmt.Fprintf(output, "\n%s (%s, took %s)\n", r.Scenario, r.About, r.Took)
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", f.Name, number(f.Value), f.Unit, f.Goal, f.verdict())
	}
	_ = table.Flush()
	for _, note := range r.Notes {
		fmt.Fprintf(output, "  - %s\n", note)
	}
	if r.Error != "" {
		fmt.Fprintf(output, "  FAILED: %s\n", r.Error)
	}
	fmt.Fprintln(output)
}

// report is a whole run.
type report struct {
	Began   time.Time `json:"began"`
	Took    string    `json:"took"`
	Commit  string    `json:"commit,omitempty"`
	Command string    `json:"command"`
	Machine machine   `json:"machine"`
	// Changed are the flags for sizes that are not at their defaults. The goals are
	// those of the defaults.
	Changed []string  `json:"changed,omitempty"`
	Results []*result `json:"results"`
}

func newReport(ctx context.Context, given *settings, began time.Time) *report {
	r := &report{Began: began.UTC().Truncate(time.Second), Machine: thisMachine(), Changed: given.changed(),
		Command: strings.Join(append([]string{"bench"}, os.Args[1:]...), " ")}
	if text, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(text))
	}
	return r
}

func (r *report) goals() int {
	n := 0
	for _, result := range r.Results {
		for _, figure := range result.Figures {
			if figure.OK != nil {
				n++
			}
		}
	}
	return n
}

// caveat says what verdicts of a run with other sizes are worth.
func (r *report) caveat() string {
	return "Not the full sizes (" + strings.Join(r.Changed, ", ") + "): the goals are, so a verdict says little."
}

// missed names the goals that were.
func (r *report) missed() []string {
	var names []string
	for _, result := range r.Results {
		for _, figure := range result.Figures {
			if figure.OK != nil && !*figure.OK {
				names = append(names, result.Scenario+": "+figure.Name)
			}
		}
	}
	return names
}

// write writes the report in both forms.
func (r *report) write(given *settings) error {
	encoded, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for file, text := range map[string]string{given.json: string(encoded) + "\n", given.markdown: r.asMarkdown()} {
		if file == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // a report is public
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // a report is public
			return err
		}
	}
	return nil
}

// asMarkdown is the report as docs/benchmarks.md shows it.
func (r *report) asMarkdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d processors (%s), %s GiB, Linux %s, %s. Commit %s, %s, took %s: `%s`.\n", r.Machine.Processors, r.Machine.Model,
		number(r.Machine.MemoryGiB), r.Machine.Kernel, r.Machine.Go, r.Commit, r.Began.Format(time.DateOnly), r.Took, r.Command)
	if len(r.Changed) > 0 {
		fmt.Fprintf(&text, "\n%s\n", r.caveat())
	}
	for _, result := range r.Results {
		fmt.Fprintf(&text, "\n### %s: %s\n\n", result.Scenario, result.About)
		if len(result.Figures) > 0 {
			text.WriteString("| figure | value | unit | goal | |\n|---|---:|---|---|---|\n")
		}
		for _, f := range result.Figures {
			fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", f.Name, number(f.Value), f.Unit, f.Goal, f.verdict())
		}
		if len(result.Notes) > 0 || result.Error != "" {
			text.WriteString("\n")
		}
		for _, note := range result.Notes {
			fmt.Fprintf(&text, "- %s\n", note)
		}
		if result.Error != "" {
			fmt.Fprintf(&text, "- failed: %s\n", result.Error)
		}
	}
	return text.String()
}
