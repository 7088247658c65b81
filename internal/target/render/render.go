// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Keys of the target where the template sets no data, beside the outputs of the
// provider.
const (
	accessTokenKey = "access_token"
	tokenTypeKey   = "token_type"
	expiresAtKey   = "expires_at"
)

// Content is what a target is to hold of a credential.
type Content struct {
	Labels      map[string]string
	Annotations map[string]string
	Data        map[string][]byte
}

// Render fills the template in. A key whose value is an empty optional is left
// out. The error names the field and never a value.
func (t *Template) Render(granted token.Token, parameters map[string]string) (Content, error) {
	content := Content{
		Labels:      maps.Clone(t.Labels()),
		Annotations: maps.Clone(t.Annotations()),
		Data:        t.plainData(granted),
	}
	variables, size := variables(granted, parameters), 0
	for _, key := range slices.Sorted(maps.Keys(t.data)) {
		text, present, err := t.data[key].Text(variables)
		if err != nil {
			return Content{}, err
		}
		if size += len(text); size > expression.MaxResult {
			return Content{}, fmt.Errorf("spec.target.template.data gives more than %d bytes in all, up to data[%s]: make it smaller", expression.MaxResult, key)
		}
		if present {
			content.Data[key] = []byte(text)
		}
	}
	return content, nil
}

// Try renders a made-up token key by key. A key that cannot be rendered from it is left out: a
// template may need a token of a certain form, which one that is made up lacks.
func (t *Template) Try(accessToken, output string, validity token.Validity) map[string][]byte {
	granted := token.Token{
		AccessToken: secret.New(accessToken),
		Type:        "Bearer",
		Validity:    validity,
		Outputs:     make(map[string]any, len(t.declared)),
	}
	for _, name := range t.declared {
		granted.Outputs[name] = output
	}
	data := t.plainData(granted)
	variables := variables(granted, t.parameters)
	for key, template := range t.data {
		if text, present, err := template.Text(variables); err == nil && present {
			data[key] = []byte(text)
		}
	}
	return data
}

// variables of the expressions in a template.
func variables(granted token.Token, parameters map[string]string) map[string]any {
	return map[string]any{
		"accessToken": granted.AccessToken.Reveal(),
		"tokenType":   granted.Type,
		"expiresAt":   granted.ExpiresAt,
		"outputs":     orEmpty(granted.Outputs),
		"parameters":  orEmpty(parameters),

		expression.BudgetKey: expression.NewBudget(), // one for all values
	}
}

// plainData is the data of a target whose template sets none.
func (t *Template) plainData(granted token.Token) map[string][]byte {
	data := make(map[string][]byte, len(t.data))
	if len(t.data) > 0 {
		return data
	}
	for _, name := range t.outputs {
		if value, present := granted.Outputs[name]; present && value != nil {
			data[name] = plain(value)
		}
	}
	data[accessTokenKey] = []byte(granted.AccessToken.Reveal())
	data[tokenTypeKey] = []byte(granted.Type)
	data[expiresAtKey] = plain(granted.ExpiresAt)
	return data
}

// plain is how a target holds an output: a list or a map as JSON, so that a
// provider that changes its mind about a value does not keep the token back.
func plain(value any) []byte {
	if text, ok := expression.TextOf(value); ok {
		return []byte(text)
	}
	encoded, err := jsontext.Encode(value)
	if err != nil {
		return nil
	}
	return encoded
}

// Keys lists the keys of the Secret's data that the template may write, sorted.
func (t *Template) Keys() []string {
	return keysOf(slices.Collect(maps.Keys(t.data)), t.outputs)
}

// Keys lists the keys of the Secret's data that a target may write, sorted, without
// compiling it. The outputs are the names that the credential's provider declares.
func Keys(spec v1alpha1.Target, outputs []string) []string {
	if spec.Template == nil {
		return keysOf(nil, outputs)
	}
	return keysOf(slices.Collect(maps.Keys(spec.Template.Data)), outputs)
}

func keysOf(data, outputs []string) []string {
	if len(data) == 0 {
		data = append([]string{accessTokenKey, tokenTypeKey, expiresAtKey}, outputs...)
	}
	slices.Sort(data)
	return slices.Compact(data)
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
