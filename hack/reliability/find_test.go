// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// module writes one test file into a folder of its own.
func module(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x_test.go"), []byte("package x\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestWhatATestShowsIsFound(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, text string
		want               map[string][]test
	}{
		{"a call", "the plain case", `func TestA(t *testing.T) { faults.Shows(t, "one") }`,
			map[string][]test{"one": {{"TestA", "x_test.go"}}}},
		{"a call in a function that another names", "tests share what they play",
			`func TestA(t *testing.T) { play(t) }; func play(t *testing.T) { t.Run("", step) }; func step(t *testing.T) { faults.Shows(t, "one") }`,
			map[string][]test{"one": {{"TestA", "x_test.go"}}}},
		{"a table of two tests", "each of them plays it",
			`func TestB(t *testing.T) { run(cases()) }; func TestA(t *testing.T) { run(cases()) }
			func cases() []row { return []row{{shows: "one"}, {shows: []string{"two", "one"}}} }`,
			map[string][]test{"one": {{"TestA", "x_test.go"}, {"TestB", "x_test.go"}}, "two": {{"TestA", "x_test.go"}, {"TestB", "x_test.go"}}}},
		{"a table that no test plays", "it shows nothing", `var cases = []row{{shows: "one"}}; func helper() { _ = cases }`, map[string][]test{}},
		{"a call for each row of a table", "the rows name them", `func TestA(t *testing.T) { faults.Shows(t, each.shows) }`, map[string][]test{}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			got, err := findShown(module(t, each.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(each.want, got, cmp.AllowUnexported(test{})); diff != "" {
				t.Errorf("shown (-want +got):\n%s\nreason: %s", diff, each.reason)
			}
		})
	}
}

func TestWhatIsShownMustBeALiteral(t *testing.T) {
	t.Parallel()
	if _, err := findShown(module(t, `var cases = []row{{shows: name()}}`)); err == nil || !strings.Contains(err.Error(), "cases") {
		t.Errorf("findShown = %v, want an error that names the place", err)
	}
}

func TestEveryRowNeedsATestAndEveryTestARow(t *testing.T) {
	t.Parallel()
	sections := []faults.Section{{Title: "S", Faults: []faults.Fault{{Name: "shown"}, {Name: "not shown"}}}}
	err := complete(sections, map[string][]test{"shown": {{name: "TestA"}}, "no row": {{name: "TestB"}}})
	for _, want := range []string{`no test shows "not shown"`, `TestB shows "no row"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("complete = %v, want it to say: %s", err, want)
		}
	}
}
