// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestNudgesAreAnOptIn compares an install with one that has config/nudge-pods added.
func TestNudgesAreAnOptIn(t *testing.T) {
	t.Parallel()
	admin := install(t)
	top, err := filepath.Abs(root)
	must(t, err)
	overlay := t.TempDir()
	toTop, err := filepath.Rel(overlay, top)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"),
		fmt.Appendf(nil, "resources: [%[1]s/config/default]\ncomponents: [%[1]s/config/nudge-pods]\n", toTop), 0o600))
	toOverlay, err := filepath.Rel(top, overlay)
	must(t, err)

	plain, nudging := installOf(t, "config/default"), installOf(t, toOverlay)
	if plain.mayTouchPods || slices.Contains(plain.flags, "--nudge-pods") {
		t.Errorf("the install has nudges turned on: the flags are %v", plain.flags)
	}
	want := append(slices.Clone(plain.flags), "--nudge-pods")
	if diff := cmp.Diff(want, nudging.flags); diff != "" {
		t.Errorf("the flags are others than the install's and --nudge-pods (-want +got):\n%s", diff)
	}
	added := slices.DeleteFunc(nudging.objects, func(key string) bool { return slices.Contains(plain.objects, key) })
	if diff := cmp.Diff([]string{"ClusterRole tokenkeeper-nudge-pods", "ClusterRoleBinding tokenkeeper-nudge-pods"}, added); diff != "" {
		t.Errorf("other objects are added (-want +got):\n%s", diff)
	}
	for _, object := range render(t, toOverlay) {
		if object.GetName() != "tokenkeeper-nudge-pods" {
			continue
		}
		if err := apply(t.Context(), admin, object.DeepCopy(), client.DryRunAll); err != nil {
			t.Errorf("the API server does not take the %s: %v", object.GetKind(), err)
		}
		if object.GetKind() == "ClusterRole" {
			role := &rbacv1.ClusterRole{}
			into(t, object, role)
			if diff := cmp.Diff([]rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "patch"}}}, role.Rules); diff != "" {
				t.Errorf("the right is another one (-want +got):\n%s", diff)
			}
		}
	}
}

// installedParts is what an install consists of.
type installedParts struct {
	objects, flags []string
	mayTouchPods   bool
}

func installOf(t *testing.T, config string) installedParts {
	t.Helper()
	var parts installedParts
	for _, object := range render(t, config) {
		parts.objects = append(parts.objects, object.GetKind()+" "+object.GetName())
		switch object.GetKind() {
		case "Deployment":
			manager := &appsv1.Deployment{}
			into(t, object, manager)
			parts.flags = manager.Spec.Template.Spec.Containers[0].Args
		case "ClusterRole", "Role":
			role := &rbacv1.ClusterRole{}
			into(t, object, role)
			parts.mayTouchPods = parts.mayTouchPods || slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool {
				return slices.Contains(rule.Resources, "pods")
			})
		}
	}
	slices.Sort(parts.objects)
	return parts
}
