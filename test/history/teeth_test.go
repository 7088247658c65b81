// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation takes one part out of the operator.
type mutation struct {
	name string
	why  string // it must be found
	file string // in internal/
	from string // stands there once
	to   string
	// always runs with make test; the others with TEETH=all.
	always bool
}

func mutations() []mutation {
	return []mutation{
		{
			name: "no claim", why: "a token is sent, and nothing durable says so", always: true,
			file: "controller/renewal.go",
			from: "return r.States.Save(ctx, r.record, claimed)",
			to:   "err := r.States.Save(ctx, r.record, claimed.Withdraw())\n\tr.record.State = claimed\n\treturn err",
		},
		{
			name: "commit after the target", why: "pods get a token whose successor nobody holds", always: true,
			file: "controller/settle.go",
			from: "if err := r.save(ctx, outcome); err != nil {\n\t\treturn r.notSaved(err)\n\t}\n\tif outcome.Reason == v1alpha1.OutcomeUnknownReason {",
			to:   "if r.conclusion(outcome) == nil {\n\t\t_ = r.publish(ctx)\n\t}\n\tif err := r.save(ctx, outcome); err != nil {\n\t\treturn r.notSaved(err)\n\t}\n\tif outcome.Reason == v1alpha1.OutcomeUnknownReason {",
		},
		{
			name: "no fence", why: "a process that was frozen sends what another has taken over", always: true,
			file: "controller/renewal.go",
			from: "r.Clock.Now().Sub(claimedAt) > fenceTimeout",
			to:   "r.Clock.Now().Sub(claimedAt) > 1000*fenceTimeout",
		},
		{
			name: "a withdrawal removes another's claim", why: "a token that may be spent counts as never sent",
			file: "controller/settle.go",
			from: "return transition(stored), stored.Attempt != nil && stored.Attempt.ID == own",
			to:   "return transition(stored), own != \"\" && stored.RefreshToken.Equal(r.record.State.RefreshToken)",
		},
		{
			name: "a commit removes another's claim", why: "a retry under way is forgotten",
			file: "controller/settle.go",
			from: "next.Attempt = stored.Attempt // somebody",
			to:   "next.Attempt = nil // somebody",
		},
		{
			name: "the ledger is not consulted", why: "a spent seed that was put back is sent",
			file: "rotation/state.go",
			from: "case s.Spent.Contains(digest):",
			to:   "case s.Spent.Contains(\"-\" + digest):",
		},
		{
			name: "the doubt about a resend is forgotten", why: "a retry that never left clears the first time",
			file: "controller/settle.go",
			from: "state.Attempt = r.doubt",
			to:   "state.Attempt = nil",
		},
		{
			name: "a loss is told by the status alone", why: "after a crash nothing says that the token is lost",
			file: "controller/settle.go",
			from: "r.end(ctx, rotation.State.Lose, lost)",
			to:   "r.end(ctx, rotation.State.Withdraw, lost)",
		},
		{
			name: "recovery sends again whatever it finds", why: "a spent token is sent",
			file: "rotation/attempt.go",
			from: "case inWindow(), observer.Policy == v1alpha1.RetryOnce:",
			to:   "case inWindow() || attempt != nil:",
		},
		{
			name: "an attempt from the future is inside the window", why: "with clocks that differ a spent token is sent",
			file: "rotation/attempt.go",
			from: "return ago >= 0 && ago < observer.ReuseWindow",
			to:   "return ago < observer.ReuseWindow",
		},
		{
			name: "the state is saved without looking at its version", why: "of two writers both succeed",
			file: "rotation/store.go",
			from: "action, write := actionUpdate, func() error { return s.Client.Update(ctx, stored) }",
			to:   "action, write := actionUpdate, func() error { stored.ResourceVersion = \"\"; return s.Client.Update(ctx, stored) }",
		},
		{
			name: "a failed publication counts as one", why: "the target keeps the old token, and Ready tells the new one's expiry",
			file: "controller/visit.go",
			from: "v.unpublished = true",
			to:   "v.unpublished = false",
		},
		{
			name: "a displaced holder tells what it knows", why: "it writes over what the one that took over has found",
			file: "controller/settle.go",
			from: "return &pause{until: r.now, why: \"another process has taken the claim over\"}",
			to:   "return why",
		},
		{
			name: "a commit gives up", why: "the successor is dropped while its process lives",
			file: "rotation/store.go",
			from: "return sent.Attempt == nil && !stale, nil",
			to:   "return true, nil",
		},
	}
}

// TestTheHistoriesHaveTeeth takes one part after another out of the operator, and
// expects the random histories to find a violation of the invariant each time.
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
	command := exec.CommandContext(t.Context(), binary, "-test.run=^TestNoTokenIsLostInSilence$", "-test.timeout=10m",
		"-rapid.checks=20000", "-rapid.nofailfile", "-rapid.shrinktime=0s")
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
	file, err := filepath.Abs(filepath.Join("..", "..", "internal", filepath.FromSlash(m.file)))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(m.from)); n != 1 {
		t.Fatalf("what is to be changed stands %d times in %s, want once: bring the mutation up to date", n, m.file)
	}
	directory := t.TempDir()
	mutated := filepath.Join(directory, "mutated.go")
	overlay := filepath.Join(directory, "overlay.json")
	binary := filepath.Join(directory, "history.test")
	encoded, err := json.Marshal(map[string]any{"Replace": map[string]string{file: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{mutated: bytes.Replace(source, []byte(m.from), []byte(m.to), 1), overlay: encoded} {
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
