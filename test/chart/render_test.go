// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	chartDir  = "../../charts/tokenkeeper"
	namespace = "tokenkeeper-system"
)

// objects are what is installed, by kind and name.
type objects map[string]*unstructured.Unstructured

func keyOf(o *unstructured.Unstructured) string { return o.GetKind() + " " + o.GetName() }

// get fails where there is no such object.
func (o objects) get(t *testing.T, key string) *unstructured.Unstructured {
	t.Helper()
	found := o[key]
	if found == nil {
		t.Fatalf("there is no %s among %s", key, strings.Join(o.keys(), ", "))
	}
	return found
}

func (o objects) keys() []string {
	var keys []string
	for key := range o {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// render renders the chart as `helm template tokenkeeper -n tokenkeeper-system` does, with
// values in YAML.
func render(values string) (objects, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	given := map[string]any{}
	if err := sigsyaml.Unmarshal([]byte(values), &given); err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: "tokenkeeper", Namespace: namespace, Revision: 1, IsInstall: true}
	capabilities := common.DefaultCapabilities.Copy() // those of a cluster that knows native sidecars
	capabilities.KubeVersion = common.KubeVersion{Version: "v1.36.0", Major: "1", Minor: "36"}
	all, err := util.ToRenderValues(chart, given, release, capabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	rendered := objects{}
	for name, text := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		if err := rendered.add([]byte(text)); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
		}
	}
	return rendered, nil
}

func mustRender(t *testing.T, values string) objects {
	t.Helper()
	rendered, err := render(values)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// installer is what dist/install.yaml installs.
func installer(t *testing.T) objects {
	t.Helper()
	text, err := os.ReadFile("../../dist/install.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := objects{}
	if err := all.add(text); err != nil {
		t.Fatal(err)
	}
	return all
}

// add adds the objects of a file; of a kind and name there is one.
func (o objects) add(text []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		key := keyOf(object)
		if o[key] != nil && o[key].GetNamespace() == object.GetNamespace() {
			return fmt.Errorf("%s is there twice", key)
		}
		if o[key] != nil {
			key += " in " + object.GetNamespace()
		}
		o[key] = object
	}
}
