// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// decodeAll decodes the objects of a file in YAML or JSON. They are maps at first: what the
// decoder of Kubernetes' objects says of one without a kind quotes it whole, and it may be a
// Secret.
func decodeAll(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var all []*unstructured.Unstructured
	for number := 1; ; number++ {
		var document json.RawMessage
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("object %d cannot be read: %w", number, err)
		}
		members := map[string]any{}
		if err := utiljson.Unmarshal(document, &members); err != nil {
			return nil, fmt.Errorf("object %d is no object", number)
		}
		if len(members) == 0 {
			continue
		}
		object := &unstructured.Unstructured{Object: members}
		if object.GetKind() == "" || object.GetAPIVersion() == "" {
			return nil, fmt.Errorf("object %d has no kind, or no apiVersion", number)
		}
		all = append(all, object)
	}
}

// convert reads an object as its type. What it quotes of a Secret goes no further.
func convert(object *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, into, object.GetKind() != "Secret"); err != nil {
		if object.GetKind() == "Secret" {
			return fmt.Errorf("the Secret %q is not a Secret: data holds base64, stringData text", object.GetName())
		}
		return fmt.Errorf("%s %q: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}
