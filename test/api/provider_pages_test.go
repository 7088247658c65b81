// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// sample is a block of YAML in a page.
var sample = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestTheSamplesOfTheProvidersPagesApply(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/providers/*.md")
	if err != nil || len(pages) < 2 {
		t.Fatalf("no pages, run `make provider-docs`: %v", err)
	}
	for _, path := range pages {
		if filepath.Base(path) == "README.md" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			page, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			block := sample.FindSubmatch(page)
			if block == nil {
				t.Fatal("the page has no sample")
			}
			for document := range strings.SplitSeq(string(block[1]), "\n---\n") {
				applySample(t, document)
			}
		})
	}
}

// applySample creates an object as kubectl does, which refuses a field that is not in its schema.
func applySample(t *testing.T, document string) {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
		t.Fatalf("%v in:\n%s", err, document)
	}
	object.SetNamespace("default")
	if err := apiserver.NewClient(t).Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
		t.Errorf("%v of:\n%s", err, document)
	}
}
