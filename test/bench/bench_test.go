// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSmallRun plays one scenario with a handful of credentials, so that the
// benchmark still runs on the day that somebody needs it.
func TestSmallRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a control plane, and waits for tokens to fall due")
	}
	t.Parallel()
	folder := t.TempDir()
	given := &settings{
		root: "../..", managerBinary: filepath.Join(folder, "manager"), simulatorBinary: filepath.Join(folder, "simulator"),
		credentials: 10, scale: 0.01, lifetime: 20 * time.Second, window: time.Second,
		json: filepath.Join(folder, "bench.json"), markdown: filepath.Join(folder, "bench.md"),
	}
	for binary, source := range map[string]string{given.managerBinary: "../../cmd", given.simulatorBinary: "../../cmd/simulator"} {
		if output, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
			t.Fatalf("%s does not build: %v\n%s", source, err, output)
		}
	}
	chosen, err := choose([]string{"appsecret"})
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	if err := run(t.Context(), given, chosen, &output); err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	text, err := os.ReadFile(given.json)
	if err != nil {
		t.Fatal(err)
	}
	var reported report
	if err := json.Unmarshal(text, &reported); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, figure := range reported.Results[0].Figures {
		values[figure.Name] = figure.Value
	}
	if values["refreshes"] < 30 || values["reads of the app Secret"] < 1 {
		t.Errorf("ten credentials were to be refreshed three times each, with an app Secret that is read:\n%s", text)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := &result{Scenario: "steady", About: "lateness"}
	r.add("plain", 1234.4, "/s")
	r.add("nothing measured", math.NaN(), "s")
	r.judge("good", 0.98765, "s", atMost(1))
	r.judge("bad", 69.9, "%", atLeast(70))
	r.judge("derived", 180, "/s", singleUse.goal(1342))
	r.judge("not measured", math.NaN(), "s", atMost(1))
	all := report{Results: []*result{r}}
	if goals, missed := all.goals(), all.missed(); goals != 4 || len(missed) != 2 {
		t.Errorf("%d goals, missed %q; want 4, and two missed", goals, missed)
	}
	var table bytes.Buffer
	r.print(&table)
	for where, text := range map[string]string{"table": table.String(), "Markdown": all.asMarkdown()} {
		for _, wanted := range []string{"1234", "0.988", "≤ 1", "met", "≥ 70", "MISSED", "≥ 170 (38 % of raw / 3)", "not measured could not be measured"} {
			if !strings.Contains(text, wanted) {
				t.Errorf("the %s does not say %q:\n%s", where, wanted, text)
			}
		}
		if strings.Contains(text, "NaN") {
			t.Errorf("the %s holds NaN, which JSON cannot:\n%s", where, text)
		}
	}
}

func TestUnknownScenario(t *testing.T) {
	t.Parallel()
	if _, err := choose([]string{"stedy"}); err == nil || !strings.Contains(err.Error(), "steady") {
		t.Errorf("got %v, want an error that lists the scenarios", err)
	}
}

func TestChangedSizesAreSaid(t *testing.T) {
	t.Parallel()
	given := &settings{}
	given.addFlags(flag.NewFlagSet("", flag.ContinueOnError))
	if changed := given.changed(); len(changed) > 0 {
		t.Errorf("the defaults are said to be changed: %q", changed)
	}
	given.scale, given.window = 0.02, 10*time.Second
	r := report{Changed: given.changed()}
	if text := r.asMarkdown(); !strings.Contains(text, "--scale=0.02, --window=10s") {
		t.Errorf("verdicts of a small run stand without a caveat:\n%s", text)
	}
}
