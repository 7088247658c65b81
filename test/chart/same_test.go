// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestTheChartInstallsWhatTheInstallerDoes holds the ways to install together: what one
// gains the other must.
func TestTheChartInstallsWhatTheInstallerDoes(t *testing.T) {
	t.Parallel()
	want, got := installer(t), mustRender(t, `crds: {keep: false}`)
	delete(want, "Namespace "+namespace) // `helm install --create-namespace` makes it
	if diff := cmp.Diff(want.keys(), got.keys()); diff != "" {
		t.Fatalf("the objects are others (-installer +chart):\n%s", diff)
	}
	for key := range want {
		if diff := cmp.Diff(compared(t, want[key]), compared(t, got[key])); diff != "" {
			t.Errorf("%s differs (-installer +chart):\n%s", key, diff)
		}
	}
}

// compared is an object without what only Helm, or only kustomize, says of it.
func compared(t *testing.T, object *unstructured.Unstructured) map[string]any {
	t.Helper()
	o := object.DeepCopy()
	labels := o.GetLabels()
	maps.DeleteFunc(labels, func(name, _ string) bool {
		switch name {
		case "app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/name", "helm.sh/chart":
			return true
		}
		return false
	})
	o.SetLabels(labels)
	if len(labels) == 0 {
		unstructured.RemoveNestedField(o.Object, "metadata", "labels")
	}
	switch o.GetKind() {
	case "Service":
		unstructured.RemoveNestedField(o.Object, "spec", "selector", "app.kubernetes.io/instance")
	case "Deployment":
		unstructured.RemoveNestedField(o.Object, "spec", "selector", "matchLabels", "app.kubernetes.io/instance")
		unstructured.RemoveNestedField(o.Object, "spec", "template", "metadata", "labels", "app.kubernetes.io/instance")
		for _, of := range []string{managers, couriers} {
			container := theContainer(t, o, of)
			delete(container, "image")
			delete(container, "imagePullPolicy")
			setContainer(t, o, of, container)
		}
	}
	return o.Object
}

// Where the containers of a Deployment are.
const (
	managers = "containers"
	couriers = "initContainers"
)

// theContainer is a Deployment's only container of those.
func theContainer(t *testing.T, deployment *unstructured.Unstructured, of string) map[string]any {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", of)
	if err != nil || len(containers) != 1 {
		t.Fatalf("a Deployment has %d %s, want 1 (%v)", len(containers), of, err)
	}
	return containers[0].(map[string]any)
}

func setContainer(t *testing.T, deployment *unstructured.Unstructured, of string, container map[string]any) {
	t.Helper()
	if err := unstructured.SetNestedSlice(deployment.Object, []any{container}, "spec", "template", "spec", of); err != nil {
		t.Fatal(err)
	}
}
