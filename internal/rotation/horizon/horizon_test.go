// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package horizon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// passing is an answer of the API server: at which revision it came, and which was the
// newest when it was asked for.
type passing struct{ before, revision string }

func TestPassed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		passings       []passing
		wentBack       bool // at the last of them
		precedes, past string
		reason         string
	}{
		{"the first revision that is seen", []passing{{"", "7"}}, false, "", "7", "nothing is known to compare it with"},
		{"a cluster that goes on", []passing{{"", "7"}, {"7", "8"}}, false, "", "8", "its revisions rise"},
		{"a list at the same revision", []passing{{"", "7"}, {"7", "7"}}, false, "", "7", "nothing was written since"},
		{"replies that overtake each other", []passing{{"", "7"}, {"7", "9"}, {"7", "8"}}, false, "", "8", "both were asked for at 7"},
		{"a cluster that was put back", []passing{{"", "70"}, {"70", "9"}}, true, "9", "10", "it was at 70 before"},
		{"revisions of another length", []passing{{"", "100"}, {"100", "99"}}, true, "99", "100", "they are numbers, not texts"},
		{"what is written after it was put back", []passing{{"", "70"}, {"70", "9"}, {"9", "10"}}, false, "9", "10", "it goes on from there"},
		{"two writes under way while it was put back", []passing{{"", "70"}, {"70", "9"}, {"70", "10"}}, true, "10", "11", "the second one is of what was put back, too"},
		{"put back a second time, further", []passing{{"", "70"}, {"70", "50"}, {"50", "60"}, {"60", "9"}}, true, "9", "10", "what lies between was overtaken by nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			h := open(t, directory, "cluster")
			var wentBack bool
			for _, p := range c.passings {
				var err error
				if wentBack, err = h.Passed(p.before, p.revision); err != nil {
					t.Fatal(err)
				}
			}
			if wentBack != c.wentBack {
				t.Errorf("it went back: %t, want %t: %s", wentBack, c.wentBack, c.reason)
			}
			for who, h := range map[string]*Horizon{"this process": h, "the next one": open(t, directory, "cluster")} {
				if c.precedes != "" && !h.Precedes(c.precedes) || h.Precedes(c.past) {
					t.Errorf("%s: %q precedes: %t, %q precedes: %t; want the first alone: %s", who, c.precedes, h.Precedes(c.precedes), c.past, h.Precedes(c.past), c.reason)
				}
			}
		})
	}
}

func TestAnotherClusterHasRevisionsOfItsOwn(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	if _, err := open(t, directory, "one").Passed("", "70"); err != nil {
		t.Fatal(err)
	}
	if newest := open(t, directory, "another").Newest(); newest != "" {
		t.Errorf("it is believed to have been at %s", newest)
	}
}

func TestWhatCannotBeKeptIsTold(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	h := open(t, directory, "cluster")
	if err := os.Mkdir(filepath.Join(directory, fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Passed("", "7"); err == nil || !strings.Contains(err.Error(), "restored snapshot") {
		t.Errorf("got %v, want an error that says what is missed", err)
	}
	if h.Newest() != "7" {
		t.Error("this process must know all the same")
	}
}

func TestADamagedFileIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, fileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(directory, "cluster"); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}

func TestNoHorizonKnowsNothing(t *testing.T) {
	t.Parallel()
	var none *Horizon
	if wentBack, err := none.Passed("9", "1"); wentBack || err != nil || none.Precedes("1") || none.Newest() != "" {
		t.Error("it takes something for restored")
	}
}

func open(t *testing.T, directory, cluster string) *Horizon {
	t.Helper()
	h, err := Open(directory, cluster)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
