// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// readSamples reads the objects of the files that a kustomization lists, in its
// order.
func readSamples(folder string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err != nil {
		return nil, fmt.Errorf("run the demo at the top of a checkout: %w", err)
	}
	kustomization := struct {
		Resources []string `json:"resources"`
	}{}
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		return nil, fmt.Errorf("%s/kustomization.yaml: %w", folder, err)
	}
	var samples []*unstructured.Unstructured
	for _, file := range kustomization.Resources {
		objects, err := readObjects(filepath.Join(folder, file))
		if err != nil {
			return nil, err
		}
		samples = append(samples, objects...)
	}
	return samples, nil
}

func readObjects(file string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// applySamples applies the objects as `kubectl apply --server-side` would.
func applySamples(ctx context.Context, c client.Client, samples []*unstructured.Unstructured) error {
	for _, sample := range samples {
		namespaced, err := c.IsObjectNamespaced(sample)
		if err == nil {
			if namespaced {
				sample.SetNamespace(namespace)
			}
			err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(sample), client.FieldOwner("kubectl"), client.ForceOwnership)
		}
		if err != nil {
			return fmt.Errorf("apply %s %s of %s: %w", sample.GetKind(), sample.GetName(), samplesFolder, err)
		}
	}
	return nil
}

// credentialNames are the names of the credentials among the samples.
func credentialNames(samples []*unstructured.Unstructured) []string {
	var names []string
	for _, sample := range samples {
		if sample.GetKind() == "TokenCredential" {
			names = append(names, sample.GetName())
		}
	}
	return names
}
