// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// TestEachFieldThatNamesASecretHasARule finds a field that was added to the API and
// forgotten in the policy.
func TestEachFieldThatNamesASecretHasARule(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(apiserver.CRDDirectory, "tokenkeeper.io_tokencredentials.yaml"))
	must(t, err)
	versions, _, err := unstructured.NestedSlice(parse(string(text)).Object, "spec", "versions")
	must(t, err)
	policy, err := os.ReadFile(filepath.Join(root, "config", "admission", "policy.yaml"))
	must(t, err)
	rules, _, err := unstructured.NestedSlice(parse(string(policy)).Object, "spec", "validations")
	must(t, err)
	found := 0
	for _, version := range versions {
		fields, _, err := unstructured.NestedMap(version.(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties")
		must(t, err)
		for field := range fields {
			if !strings.HasSuffix(field, "SecretRef") && field != "serviceAccountName" {
				continue
			}
			found++
			if !hasRule(rules, field) {
				t.Errorf("no rule of config/admission/policy.yaml asks for a right to what spec.%s names", field)
			}
		}
	}
	if found < 3 {
		t.Errorf("%d fields of the CRD name Secrets, want the three that there were at first, at least", found)
	}
}

func hasRule(rules []any, field string) bool {
	for _, rule := range rules {
		expression, _, _ := unstructured.NestedString(rule.(map[string]any), "expression")
		if strings.Contains(expression, "object.spec."+field) && strings.Contains(expression, ".check(") {
			return true
		}
	}
	return false
}
