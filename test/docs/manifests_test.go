// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// TestManifestsAreOfTheAPI reads each manifest of ours that stands in a page: a misspelt or
// retired field is an error.
func TestManifestsAreOfTheAPI(t *testing.T) {
	t.Parallel()
	found := 0
	for name, page := range pages(t) {
		for _, block := range yamlBlock.FindAllStringSubmatch(page, -1) {
			for document := range strings.SplitSeq(block[1], "\n---\n") {
				if !strings.HasPrefix(document, "apiVersion: tokenkeeper.io/") {
					continue
				}
				found++
				kind := struct {
					Kind string `json:"kind"`
				}{}
				if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				into := any(&v1alpha1.TokenCredential{})
				if kind.Kind == "ClusterTokenProvider" {
					into = &v1alpha1.ClusterTokenProvider{}
				}
				if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
					t.Errorf("%s has a %s that the API would not take: %v\n%s", name, kind.Kind, err, document)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d manifests are found, want those of all pages", found)
	}
}

// TestFlagsExist holds docs to the flags that the manager, the chart's schema and the
// programs of this repository define.
func TestFlagsExist(t *testing.T) {
	t.Parallel()
	sources := ""
	for _, pattern := range []string{"cmd/*.go", "internal/egress/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files (%v)", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources += string(text)
		}
	}
	row := regexp.MustCompile("(?m)^\\| (`--.*?) \\|")
	flag := regexp.MustCompile("`--([a-z0-9-]+)")
	found := 0
	for _, name := range []string{"docs/operations.md", "docs/notifications.md", "docs/hardening.md"} {
		for _, line := range row.FindAllStringSubmatch(pages(t)[name], -1) {
			for _, each := range flag.FindAllStringSubmatch(line[1], -1) {
				found++
				if each[1] == "kubeconfig" || strings.HasPrefix(each[1], "zap-") || strings.HasSuffix(each[1], "-") {
					continue // of libraries; or of many
				}
				if !strings.Contains(sources, `"`+each[1]+`"`) {
					t.Errorf("%s has the flag --%s, and the manager does not", name, each[1])
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("%d flags are found in tables", found)
	}
}
