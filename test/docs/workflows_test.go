// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// workflow is one of GitHub's, as far as it is tested.
type workflow struct {
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `json:"permissions"`
		Strategy    struct {
			Matrix map[string][]string `json:"matrix"`
		} `json:"strategy"`
		Steps []struct {
			Uses string         `json:"uses"`
			Run  string         `json:"run"`
			With map[string]any `json:"with"`
		} `json:"steps"`
	} `json:"jobs"`
}

func workflows(t *testing.T) (parsed map[string]workflow, texts map[string]string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(names) < 5 {
		t.Fatalf("lint, test, e2e, matrix and release are wanted, and %v are there (%v)", names, err)
	}
	parsed, texts = map[string]workflow{}, map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		one := workflow{}
		if err := yaml.Unmarshal(text, &one); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parsed[filepath.Base(name)], texts[filepath.Base(name)] = one, string(text)
	}
	return parsed, texts
}

func TestAWorkflowMayDoNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	parsed, _ := workflows(t)
	for name, each := range parsed {
		if diff := cmp.Diff(map[string]string{"contents": "read"}, each.Permissions); diff != "" {
			t.Errorf("%s: what the whole workflow may do is to read; a job that needs more says so itself\n%s", name, diff)
		}
		for job, it := range each.Jobs {
			if name != "release.yml" && len(it.Permissions) > 0 {
				t.Errorf("%s: the job %s asks for %v: only a release writes anything", name, job, it.Permissions)
			}
			for _, step := range it.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: the job %s leaves its token in the checkout, for every later step to find", name, job)
				}
			}
		}
	}
}

// pinned is an action by the digest of a commit, with the version that this is.
var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)

func TestActionsArePinnedByDigest(t *testing.T) {
	t.Parallel()
	_, texts := workflows(t)
	digests := map[string]string{}
	for name, text := range texts {
		for line := range strings.Lines(text) {
			_, action, found := strings.Cut(strings.TrimSpace(line), "uses: ")
			if !found {
				continue
			}
			if !pinned.MatchString(action) {
				t.Errorf("%s: %q can be moved by others: write owner/action@<40 hex digits> # v1.2.3", name, action)
			}
			which, _, _ := strings.Cut(action, "@")
			if digests[which] != "" && digests[which] != action {
				t.Errorf("%s is pinned twice: %s and %s", which, digests[which], action)
			}
			digests[which] = action
		}
	}
}

var (
	makeCall   = regexp.MustCompile(`\bmake((?: +[a-z][a-z0-9-]*)+)`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z0-9][a-z0-9-]*):`)
)

func TestWorkflowsCallTargetsThatExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := []string{}
	for _, match := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, match[1])
	}
	parsed, _ := workflows(t)
	for name, each := range parsed {
		calls := 0
		for _, job := range each.Jobs {
			for _, step := range job.Steps {
				for _, match := range makeCall.FindAllStringSubmatch(step.Run, -1) {
					for _, target := range strings.Fields(match[1]) {
						calls++
						if !slices.Contains(targets, target) {
							t.Errorf("%s calls make %s, which the Makefile does not have", name, target)
						}
					}
				}
			}
		}
		if calls == 0 {
			t.Errorf("%s calls no make target, so nobody can run at home what it does", name)
		}
	}
}

// promised are the Kubernetes minors of docs/support.md.
var promised = regexp.MustCompile(`(?m)^\| +(1\.[0-9]+) +\|`)

func TestEveryPromisedKubernetesIsInTheMatrix(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs/support.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for _, match := range promised.FindAllStringSubmatch(string(page), -1) {
		want = append(want, match[1])
	}
	parsed, _ := workflows(t)
	if diff := cmp.Diff(want, parsed["matrix.yml"].Jobs["test"].Strategy.Matrix["kubernetes"]); diff != "" || len(want) < 2 {
		t.Errorf("docs/support.md and the matrix list the same minors\n-page +workflow:\n%s", diff)
	}
	chart, err := os.ReadFile(filepath.Join(root, "charts/tokenkeeper/Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if oldest := `kubeVersion: ">=` + want[0] + `.0-0"`; !strings.Contains(string(chart), oldest) {
		t.Errorf("the chart does not say %s", oldest)
	}
}
