// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
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
			packages, err := parse(module(t, each.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(each.want, findShown(packages), cmp.AllowUnexported(test{})); diff != "" {
				t.Errorf("shown (-want +got):\n%s\nreason: %s", diff, each.reason)
			}
		})
	}
}

func TestWhatIsShownMustBeALiteral(t *testing.T) {
	t.Parallel()
	if _, err := parse(module(t, `var cases = []row{{shows: name()}}`)); err == nil || !strings.Contains(err.Error(), "cases") {
		t.Errorf("parse = %v, want an error that names the place", err)
	}
}

func TestEveryRowNeedsATestAndEveryTestARow(t *testing.T) {
	t.Parallel()
	shown := map[string][]test{"shown": {{name: "TestA"}}, "no row": {{name: "TestB"}}}
	faultsOf := func(all ...faults.Fault) []faults.Section { return []faults.Section{{Title: "S", Faults: all}} }
	attacksOf := func(all ...faults.Attack) []faults.Threat { return []faults.Threat{{Title: "T", Attacks: all}} }
	for _, each := range []struct {
		name, reason string
		sections     []faults.Section
		threats      []faults.Threat
		want         string // part of the error; "": not in it
		not          string
	}{
		{"a fault without a test", "a promise that nothing shows is none", faultsOf(faults.Fault{Name: "alone", Promise: "p"}), nil, `no test shows "alone" (S)`, ""},
		{"an attack without a test", "a promise that nothing shows is none", nil, attacksOf(faults.Attack{Name: "alone", Promise: "p"}), `no test shows "alone" (T)`, ""},
		{"an attack without a promise", "a fault of that name was renamed", nil, attacksOf(faults.Attack{Name: "shown"}), `"shown" (T) promises nothing`, ""},
		{"a test without a row", "the page would not tell of it", nil, nil, `TestB shows "no row"`, ""},
		{"a test of an attack", "it has its row", nil, attacksOf(faults.Attack{Name: "no row", Promise: "p"}), "", "TestB"},
		{"a row on both lists", "a fault may be an attack too", faultsOf(faults.Fault{Name: "shown", Promise: "p"}), attacksOf(faults.Attack{Name: "shown", Promise: "p"}), "", "twice"},
		{"a row twice on a list", "it is one of them that the test means", nil,
			attacksOf(faults.Attack{Name: "shown", Promise: "p"}, faults.Attack{Name: "shown", Promise: "p"}), `"shown" twice`, ""},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			got := fmt.Sprint(complete(each.sections, each.threats, shown))
			if each.want != "" && !strings.Contains(got, each.want) {
				t.Errorf("complete = %v, want it to say: %s\nreason: %s", got, each.want, each.reason)
			}
			if each.not != "" && strings.Contains(got, each.not) {
				t.Errorf("complete = %v, want nothing of: %s\nreason: %s", got, each.not, each.reason)
			}
		})
	}
}

func TestEveryBugIsKeptDeadByOneTest(t *testing.T) {
	t.Parallel()
	packages, err := parse(module(t, `func TestA(t *testing.T) {}; func FuzzB(f *testing.F) {}; func helper() {}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := findTests(packages)
	tests["TestTwice"] = []test{{"TestTwice", "x_test.go"}, {"TestTwice", "y_test.go"}}
	for _, each := range []struct {
		name, reason string
		bug          faults.Bug
		want         string // part of the error; "": there is none
	}{
		{"a test", "it fails if the bug comes back", faults.Bug{Met: "m", Test: "TestA"}, ""},
		{"a fuzz target", "its corpus is played by go test", faults.Bug{Met: "m", Test: "FuzzB"}, ""},
		{"a test that is gone", "nothing keeps the bug dead", faults.Bug{Met: "m", Test: "TestC"}, `there is no test TestC, which is to keep "m" dead`},
		{"a function that is no test", "nothing runs it", faults.Bug{Met: "m", Test: "helper"}, "there is no test helper"},
		{"a name of two tests", "one of them is meant", faults.Bug{Met: "m", Test: "TestTwice"}, "2 tests are named TestTwice"},
		{"a bug that nobody met", "a reader learns nothing from it", faults.Bug{Test: "TestA"}, "of a bug that TestA keeps dead it is not said what was met"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			err := keptDead([]faults.Method{{Bugs: []faults.Bug{each.bug}}}, tests)
			if each.want == "" && err != nil || each.want != "" && !strings.Contains(fmt.Sprint(err), each.want) {
				t.Errorf("keptDead = %v, want it to say: %q\nreason: %s", err, each.want, each.reason)
			}
		})
	}
}

func TestThePageOfFaultsNamesMethodBugAndTest(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	if err := write(&page, "../..", "reliability"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"- **The model** ([test/model](../test/model/README.md), `make model`).",
		"| the model | a stall outlasted the attempt that it was about | [TestIsOutdated](../internal/decision/last_test.go) |",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
}

func TestThePageOfAttacksNamesControlAndTest(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	if err := write(&page, "../..", "security"); err != nil {
		t.Fatal(err)
	}
	const want = "| a name that resolves to them | refused, and nothing is spent | the address is checked as it is dialled | [TestTheDialledAddressIsChecked](../internal/egress/client_test.go), "
	if !strings.Contains(page.String(), want) {
		t.Errorf("the page has no row that begins with %s", want)
	}
}
