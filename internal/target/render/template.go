// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package render turns a credential's spec.target and a token into what the target is to
// hold. What the API server would refuse is found when a template is compiled, as far as
// the template alone can tell. It knows values alone: no Secret of the cluster, no client.
package render

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/lru"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	corev1 "k8s.io/api/core/v1"
)

// Template is a compiled spec.target. It does not change.
type Template struct {
	kind       corev1.SecretType
	source     v1alpha1.TargetTemplate
	merge      bool
	data       map[string]*expression.Template
	parameters map[string]string
	declared   []string // the outputs that the provider declares
	// outputs that are written as they are beside the token, where the template
	// sets no data.
	outputs []string
	// shape is a digest of all that decides which data a token is rendered to.
	shape string
}

// Compiler compiles templates, and remembers those that were used last: thousands
// of credentials have few between them. Its zero value is ready to use. Safe for
// concurrent use.
type Compiler struct {
	once     sync.Once
	compiled *lru.Cache[[sha256.Size]byte, map[string]*expression.Template] // by the digest of all that it depends on
}

const (
	// maxRemembered bounds what the remembered templates take in memory together, in
	// bytes; those that were not used for longest go first.
	maxRemembered = 32 << 20

	// maxTemplate is how large a template may be in all, keys and values, labels and
	// annotations, in bytes: eight of the largest values.
	maxTemplate = 64 << 10

	// maxCompiled is how much a compiled template may take in memory, in bytes, so that
	// what all workers have in hand stays small. A usual one takes less than 100 KiB.
	maxCompiled = 2 << 20
)

// Compile reads a credential's target. The outputs are the names that the provider
// declares, the parameters are the credential's with the provider's defaults; the
// template's expressions may use these and no others. The error is a
// *problem.Problem that names every field which is wrong, those included that the
// API server would refuse once a token was spent.
func (c *Compiler) Compile(spec v1alpha1.Target, outputs []string, parameters map[string]string) (*Template, error) {
	t := &Template{
		kind:       corev1.SecretTypeOpaque,
		merge:      spec.CreationPolicy == v1alpha1.MergePolicy,
		parameters: parameters,
		declared:   slices.Sorted(slices.Values(outputs)),
	}
	if spec.Template != nil {
		t.source = *spec.Template
	}
	if t.source.Type != "" {
		t.kind = corev1.SecretType(t.source.Type)
	}
	var problems []error
	switch {
	case len(t.source.Data) == 0:
		t.outputs = t.declared
	case checkSize(t) == nil:
		data, err := c.data(t.source.Data, outputs, slices.Sorted(maps.Keys(parameters)))
		t.data, problems = data, append(problems, err)
	}
	problems = append(problems, checkSize(t), checkPolicy(spec.CreationPolicy), checkType(t), checkKeys(t), checkMetadata(t))
	if err := errors.Join(problems...); err != nil {
		return nil, problem.New(v1alpha1.InvalidParametersReason, "%s", problem.OneLine(err))
	}
	t.shape = shapeOf(t)
	return t, nil
}

// data compiles the values of a template's data, unless that is remembered.
func (c *Compiler) data(texts map[string]string, outputs, parameters []string) (map[string]*expression.Template, error) {
	c.once.Do(func() { c.compiled = lru.New[[sha256.Size]byte, map[string]*expression.Template](maxRemembered) })
	encoded, err := json.Marshal([]any{texts, outputs, parameters})
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(encoded)
	if known, ok := c.compiled.Get(key); ok {
		return known, nil
	}
	data, weight, err := compileData(texts, outputs, parameters)
	if err == nil {
		c.compiled.Put(key, data, weight)
	}
	return data, err
}

// environmentWeight is about what the declarations of a template's functions and
// variables take in memory, in bytes.
const environmentWeight = 384 << 10

// compileData compiles the values of a template's data, and says about how many bytes
// of memory they take. It stops where that is too much.
func compileData(texts map[string]string, outputs, parameters []string) (data map[string]*expression.Template, weight int, err error) {
	environment, err := expression.NewEnvironment(
		expression.Text("accessToken"),
		expression.Text("tokenType"),
		expression.Timestamp("expiresAt"),
		expression.AnyMap("outputs", outputs),
		expression.TextMap("parameters", parameters),
	)
	if err != nil {
		return nil, 0, err
	}
	var problems []error
	data, weight = make(map[string]*expression.Template, len(texts)), environmentWeight
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		compiled, err := environment.Template(fmt.Sprintf("spec.target.template.data[%s]", key), texts[key])
		problems = append(problems, err)
		if err != nil {
			continue
		}
		data[key] = compiled
		if weight += compiled.Weight(); weight > maxCompiled {
			problems = append(problems, fmt.Errorf("spec.target.template.data: its expressions take more than %d bytes of memory, up to data[%s]: use fewer or simpler ones", maxCompiled, key))
			break
		}
	}
	return data, weight, errors.Join(problems...)
}

// Type of the Secret; with Merge it is one of its own, and this says nothing.
func (t *Template) Type() corev1.SecretType { return t.kind }

// Merges reports whether the credential writes its own keys of a Secret that exists, as
// against owning the whole of it.
func (t *Template) Merges() bool { return t.merge }

// Labels that the target must carry. The map is not to be changed.
func (t *Template) Labels() map[string]string {
	if t.merge { // a Secret that is merged into is managed by its owner
		return t.source.Metadata.Labels
	}
	labels := maps.Clone(t.source.Metadata.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.ManagedByLabel] = v1alpha1.ManagedBy
	return labels
}

// Annotations that the target must carry, beside the mark. The map is not to be changed.
func (t *Template) Annotations() map[string]string { return t.source.Metadata.Annotations }

// Shape names all that a target is rendered from beside the token: two targets of one
// shape differ by their tokens alone.
func (t *Template) Shape() string { return t.shape }
