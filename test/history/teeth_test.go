// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheHistoriesHaveTeeth takes one part after another out of the operator, and
// expects the histories to find a violation of the invariant each time: random ones, or those
// that play every effect and every takeover once.
func TestTheHistoriesHaveTeeth(t *testing.T) {
	t.Parallel()
	if os.Getenv(mutant) != "" {
		t.Skip("this is a mutant")
	}
	for _, m := range mutations() {
		if !m.always && os.Getenv("TEETH") != "all" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			killed := m.run(t)
			if killed == "" {
				t.Fatalf("no history finds it: %s", m.why)
			}
			t.Log(killed)
		})
	}
}

// mutant is the variable of the environment that keeps a mutant from making more.
const mutant = "HISTORY_MUTANT"

// run builds the histories with the mutation and gives the line that tells how it
// was found; nothing where it was not.
func (m mutation) run(t *testing.T) string {
	t.Helper()
	binary := m.build(t)
	for _, play := range [][]string{
		{"-test.run=^TestNoTokenIsLostInSilence$", "-rapid.checks=1000"},
		{"-test.run=^TestEvery"},
		{"-test.run=^TestNoTokenIsLostInSilence$", "-rapid.checks=20000"},
	} {
		if found := m.play(t, binary, play...); found != "" {
			return found
		}
	}
	return ""
}

// play plays histories with the mutation until one finds it.
func (m mutation) play(t *testing.T, binary string, which ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary, append(which, "-test.failfast", "-test.timeout=10m", "-rapid.nofailfile", "-rapid.shrinktime=0s")...)
	command.Env = append(os.Environ(), mutant+"=1", "PROGRESS=")
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("the mutant does not run: %v", err)
	}
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, violated) {
			return strings.TrimSpace(line)
		}
	}
	if err != nil {
		t.Fatalf("the mutant fails otherwise than by the invariant:\n%s", output[:min(len(output), 4<<10)])
	}
	return ""
}

// build compiles the histories with the mutation laid over the source.
func (m mutation) build(t *testing.T) string {
	t.Helper()
	file, mutated, err := m.apply(filepath.Join("..", "..", "internal", filepath.FromSlash(m.pkg)))
	if err != nil {
		t.Fatalf("%s cannot be made: %v", m.name, err)
	}
	directory := t.TempDir()
	source, overlay := filepath.Join(directory, "mutated.go"), filepath.Join(directory, "overlay.json")
	binary := filepath.Join(directory, "history.test")
	encoded, err := json.Marshal(map[string]any{"Replace": map[string]string{file: source}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{source: mutated, overlay: encoded} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	compile := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-overlay="+overlay, "-o", binary, ".")
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("the mutant does not compile, so it shows nothing: %v\n%s", err, output)
	}
	return binary
}
