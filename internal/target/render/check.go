// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// The API server's rules that a spec alone can break, by its own functions where it
// has them in a library. A violation would otherwise come to light once a token was
// spent.

// markReserve is what a mark takes beside the names of labels and annotations.
const markReserve = 1 << 10

// allowedTypes are the types of Secret that the operator ever writes. A
// service-account token is never among them.
var allowedTypes = []corev1.SecretType{corev1.SecretTypeOpaque, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeBasicAuth}

// IsAllowed reports whether the operator ever writes Secrets of a type.
func IsAllowed(kind corev1.SecretType) bool { return slices.Contains(allowedTypes, kind) }

// checkPolicy refuses a policy of a newer version of the API, which must not be
// taken for the default.
func checkPolicy(policy v1alpha1.CreationPolicy) error {
	switch policy {
	case "", v1alpha1.OwnerPolicy, v1alpha1.MergePolicy:
		return nil
	default:
		return fmt.Errorf("spec.target.creationPolicy: this version of the operator does not know %q: write Owner or Merge, or upgrade the operator", policy)
	}
}

// checkSize refuses a template that is too large to be compiled and rendered.
func checkSize(t *Template) error {
	size := 0
	for _, texts := range []map[string]string{t.source.Data, t.source.Metadata.Labels, t.source.Metadata.Annotations} {
		for key, text := range texts {
			size += len(key) + len(text)
		}
	}
	if size > maxTemplate {
		return fmt.Errorf("spec.target.template has %d bytes in all, of at most %d: make it smaller", size, maxTemplate)
	}
	return nil
}

// checkType refuses a type that is never written, and one whose keys are missing.
func checkType(t *Template) error {
	if !IsAllowed(t.kind) {
		return fmt.Errorf("spec.target.template.type: this version of the operator does not write Secrets of type %q: write one of %s, %s, %s, or upgrade the operator",
			t.kind, allowedTypes[0], allowedTypes[1], allowedTypes[2])
	}
	_, docker := t.source.Data[corev1.DockerConfigJsonKey]
	_, username := t.source.Data[corev1.BasicAuthUsernameKey]
	_, password := t.source.Data[corev1.BasicAuthPasswordKey]
	switch {
	case t.merge:
		return nil
	case t.kind == corev1.SecretTypeDockerConfigJson && !docker:
		return fmt.Errorf("spec.target.template.data: a Secret of type %s needs the key %s", t.kind, corev1.DockerConfigJsonKey)
	case t.kind == corev1.SecretTypeBasicAuth && !username && !password:
		return fmt.Errorf("spec.target.template.data: a Secret of type %s needs the key %s or %s", t.kind, corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
	}
	return nil
}

// checkKeys applies the rules for a Secret's keys, which are a ConfigMap's.
func checkKeys(t *Template) error {
	field := "spec.target.template.data"
	if len(t.source.Data) == 0 {
		field = "outputs of the provider" // which are keys where the template sets no data
	}
	var problems []error
	names := append(slices.Sorted(maps.Keys(t.source.Data)), t.outputs...)
	for _, key := range names {
		problems = append(problems, complaints(field, key, validation.IsConfigMapKey(key)))
	}
	return errors.Join(problems...)
}

// checkMetadata applies the rules for labels and annotations.
func checkMetadata(t *Template) error {
	const labels, annotations = "spec.target.template.metadata.labels", "spec.target.template.metadata.annotations"
	var problems []error
	metadata := t.source.Metadata
	for _, key := range slices.Sorted(maps.Keys(metadata.Labels)) {
		problems = append(problems,
			complaints(labels, key, validation.IsQualifiedName(key)),
			complaints(labels, key, validation.IsValidLabelValue(metadata.Labels[key])))
	}
	for _, key := range slices.Sorted(maps.Keys(metadata.Annotations)) {
		problems = append(problems, complaints(annotations, key, validation.IsQualifiedName(strings.ToLower(key))))
		if strings.HasPrefix(key, v1alpha1.TokenAnnotationPrefix) {
			problems = append(problems, fmt.Errorf("%s[%s]: the operator alone writes annotations that begin with %s: remove it", annotations, key, v1alpha1.TokenAnnotationPrefix))
		}
	}
	if size := AnnotationsSize(metadata.Annotations) + t.MarkSize(); size > apivalidation.TotalAnnotationSizeLimitB {
		problems = append(problems, fmt.Errorf("%s: they come to %d bytes with the operator's own, and the API server takes %d: shorten them", annotations, size, apivalidation.TotalAnnotationSizeLimitB))
	}
	return errors.Join(problems...)
}

func complaints(field, key string, faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s[%s]: %s", field, key, strings.Join(faults, ", "))
}

// AnnotationsSize is the size by which the API server bounds annotations.
func AnnotationsSize(annotations map[string]string) int {
	size := 0
	for key, value := range annotations {
		size += len(key) + len(value)
	}
	return size
}

// MarkSize is the most that a mark takes, in bytes.
func (t *Template) MarkSize() int { return markReserve + len(t.Set()) }
