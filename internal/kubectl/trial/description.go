// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

// ReadSpec reads a ClusterTokenProvider, or its spec alone. An unknown field is an error.
func ReadSpec(text []byte) (name string, spec v1alpha1.ClusterTokenProviderSpec, err error) {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return "", spec, err
	}
	if kind.Kind == "" {
		return "provider", spec, meant(yaml.UnmarshalStrict(text, &spec))
	}
	object := v1alpha1.ClusterTokenProvider{}
	if kind.Kind != "ClusterTokenProvider" {
		return "", spec, fmt.Errorf("it holds a %s, want a ClusterTokenProvider or the spec of one", kind.Kind)
	}
	err = meant(yaml.UnmarshalStrict(text, &object))
	return object.Name, object.Spec, err
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// meant says of a field that does not exist which one was meant.
func meant(err error) error {
	if err == nil {
		return nil
	}
	field := unknownField.FindStringSubmatch(err.Error())
	if field == nil {
		return err
	}
	hint := ""
	if near := spelling.Nearest(field[1], fieldsOf(reflect.TypeFor[v1alpha1.ClusterTokenProvider](), map[reflect.Type]bool{})); near != "" {
		hint = fmt.Sprintf(": did you mean %s?", near)
	}
	return fmt.Errorf("there is no field %q%s", field[1], hint)
}

// fieldsOf are the names of a type's fields in JSON, and of all that they hold.
func fieldsOf(t reflect.Type, seen map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(append(names, name), fieldsOf(t.Field(i).Type, seen)...)
	}
	return names
}
