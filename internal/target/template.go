// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package target renders an access token into the Secret that pods mount, and
// publishes it. A refresh token never comes near this package.
//
// It writes only what is the credential's: a Secret that it owns, or, with
// creationPolicy Merge, its own keys of a Secret that exists. Whatever could
// refuse a write (another owner, an immutable Secret, a wrong type) is found by
// Inspect, before a provider is asked for anything.
package target

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/lru"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Keys of the target where the template sets no data, beside the outputs of the
// provider.
const (
	accessTokenKey = "access_token"
	tokenTypeKey   = "token_type"
	expiresAtKey   = "expires_at"
)

// Token is what a template may use.
type Token struct {
	AccessToken secret.Text
	TokenType   string
	ExpiresAt   time.Time
	Outputs     map[string]any
	Parameters  map[string]string
}

// Content is what the operator writes into a target.
type Content struct {
	Labels      map[string]string
	Annotations map[string]string
	Data        map[string][]byte
}

// Template is a compiled target.template.
type Template struct {
	kind   corev1.SecretType
	source v1alpha1.TargetTemplate
	merge  bool
	asked  string
	data   map[string]*expression.Template
	// outputs that are written as they are beside the token, where the template
	// sets no data.
	outputs []string
}

// Compiler compiles templates, and remembers those that were used last: thousands
// of credentials have few between them. Its zero value is ready to use. Safe for
// concurrent use.
type Compiler struct {
	once     sync.Once
	compiled *lru.Cache // by the digest of all that it depends on
}

// mostTemplates is how many are remembered: some 100 KiB each.
const mostTemplates = 64

// Compile reads a credential's template. The outputs and parameters are the
// names that its expressions may use; asked names what the token is asked from,
// since a target that was made with another provider's token does not hold what
// it should. The error names every field that is wrong.
func (c *Compiler) Compile(spec v1alpha1.Target, asked string, outputs, parameters []string) (*Template, error) {
	t := &Template{asked: asked, kind: corev1.SecretTypeOpaque, merge: spec.CreationPolicy == v1alpha1.MergePolicy}
	if spec.Template != nil {
		t.source = *spec.Template
	}
	if t.source.Type != "" {
		t.kind = corev1.SecretType(t.source.Type)
	}
	problems := checkMetadata(t.source.Metadata)
	if len(t.source.Data) == 0 {
		t.outputs = outputs
	} else {
		data, err := c.data(t.source.Data, outputs, parameters)
		t.data, problems = data, append(problems, err)
	}
	return t, errors.Join(problems...)
}

// data compiles the values of a template's data, unless that is remembered.
func (c *Compiler) data(texts map[string]string, outputs, parameters []string) (map[string]*expression.Template, error) {
	c.once.Do(func() { c.compiled = lru.New(mostTemplates) })
	encoded, err := json.Marshal([]any{texts, outputs, parameters})
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(encoded)
	if known, ok := c.compiled.Get(key); ok {
		return known.(map[string]*expression.Template), nil
	}
	data, err := compileData(texts, outputs, parameters)
	if err == nil {
		c.compiled.Add(key, data)
	}
	return data, err
}

// compileData compiles the values of a template's data.
func compileData(texts map[string]string, outputs, parameters []string) (map[string]*expression.Template, error) {
	environment, err := expression.NewEnvironment(
		expression.Text("accessToken"),
		expression.Text("tokenType"),
		expression.Timestamp("expiresAt"),
		expression.AnyMap("outputs", outputs),
		expression.TextMap("parameters", parameters),
	)
	if err != nil {
		return nil, err
	}
	var problems []error
	data := make(map[string]*expression.Template, len(texts))
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		compiled, err := environment.Template(fmt.Sprintf("spec.target.template.data[%s]", key), texts[key])
		problems = append(problems, err)
		data[key] = compiled
	}
	return data, errors.Join(problems...)
}

// checkMetadata finds what the API server would refuse after a token was spent.
func checkMetadata(metadata v1alpha1.TargetMetadata) []error {
	var problems []error
	complain := func(field, key string, faults []string) {
		for _, fault := range faults {
			problems = append(problems, fmt.Errorf("spec.target.template.metadata.%s[%s]: %s", field, key, fault))
		}
	}
	for key, value := range metadata.Labels {
		complain("labels", key, validation.IsQualifiedName(key))
		complain("labels", key, validation.IsValidLabelValue(value))
	}
	for key := range metadata.Annotations {
		complain("annotations", key, validation.IsQualifiedName(key))
	}
	return problems
}

// Render fills the template in. A key whose value is an empty optional is left
// out. The error names the field and never a value.
func (t *Template) Render(token Token) (Content, error) {
	variables := map[string]any{
		"accessToken": token.AccessToken.Reveal(),
		"tokenType":   token.TokenType,
		"expiresAt":   token.ExpiresAt,
		"outputs":     orEmpty(token.Outputs),
		"parameters":  orEmpty(token.Parameters),
	}
	content := Content{
		Labels:      maps.Clone(t.source.Metadata.Labels),
		Annotations: maps.Clone(t.source.Metadata.Annotations),
		Data:        make(map[string][]byte, len(t.data)),
	}
	for _, name := range t.outputs {
		if value, present := token.Outputs[name]; present && value != nil {
			content.Data[name] = plain(value)
		}
	}
	if len(t.data) == 0 {
		content.Data[accessTokenKey] = []byte(token.AccessToken.Reveal())
		content.Data[tokenTypeKey] = []byte(token.TokenType)
		content.Data[expiresAtKey] = plain(token.ExpiresAt)
	}
	for key, template := range t.data {
		text, present, err := template.Text(variables)
		if err != nil {
			return Content{}, err
		}
		if present {
			content.Data[key] = []byte(text)
		}
	}
	if !t.merge {
		content.Labels = withManagedBy(content.Labels)
	}
	return content, nil
}

// plain is an output as it stands in a target: a list or a map as JSON, so that a
// provider that changes its mind about a value does not keep the token back.
func plain(value any) []byte {
	if text, ok := expression.TextOf(value); ok {
		return []byte(text)
	}
	encoded, err := expression.EncodeJSON(value)
	if err != nil {
		return nil
	}
	return encoded
}

// keys of the data that the template writes.
func (t *Template) keys() map[string]bool {
	keys := make(map[string]bool, 3+len(t.data)+len(t.outputs))
	if len(t.data) == 0 {
		keys[accessTokenKey], keys[tokenTypeKey], keys[expiresAtKey] = true, true, true
	}
	for key := range t.data {
		keys[key] = true
	}
	for _, name := range t.outputs {
		keys[name] = true
	}
	return keys
}

func withManagedBy(labels map[string]string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.ManagedByLabel] = v1alpha1.ManagedBy
	return labels
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
