// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// texts walks the texts of all calls, whatever fields they have.
func (w *warner) texts(spec v1alpha1.ClusterTokenProviderSpec) {
	encoded, err := json.Marshal(spec)
	var tree map[string]any
	if err != nil || json.Unmarshal(encoded, &tree) != nil {
		return
	}
	w.walk("spec", tree, nil)
}

// walk goes through a part of the description; text looks at what is a request or a
// response.
func (w *warner) walk(field string, value any, text func(field, text string)) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			within := text
			switch {
			case text == nil && name == "request":
				within = w.template
			case text == nil && name == "response":
				within = w.expression
			case name == "prefix" || name == "format" || name == "reason":
				continue
			}
			w.walk(field+"."+name, value[name], within)
		}
	case []any:
		for i, element := range value {
			w.walk(fmt.Sprintf("%s[%d]", field, i), element, text)
		}
	case string:
		if text != nil {
			text(field, value)
		}
	}
}

// placeholder is how other languages write what ${...} is here.
var placeholder = regexp.MustCompile(`\{\{|\$\(\w|\$[A-Za-z_]|^\{[A-Za-z_.]+\}$|^%[A-Za-z_]+%$`)

// template looks at a text of a request.
func (w *warner) template(field, text string) {
	if !strings.Contains(text, "${") {
		compiled, err := w.requests.Expression(field, text)
		isValue := err == nil && len(compiled.Variables()) > 0 && (strings.ContainsAny(text, ".(") || text == variable.RefreshToken || text == variable.AccessToken)
		if isValue || placeholder.MatchString(text) {
			w.warn(field, "it is sent as it stands, letter for letter: write ${...} for a value, such as ${refreshToken}")
		}
		return
	}
	compiled, err := w.requests.Template(field, text)
	if err != nil {
		return
	}
	_, _, err = compiled.Value(w.variables)
	var failed *expression.Error
	if !errors.As(err, &failed) || !expression.IsMissing(err) {
		return
	}
	name, _, _ := strings.Cut(failed.Message, " ")
	if of, key, ok := strings.Cut(name, "."); ok && (of == variable.Parameters || of == variable.App) {
		w.warn(fmt.Sprintf("%s:%d:%d", field, failed.Line, failed.Column), "no call can be made for a credential without %s: write %s.?%s to leave it out then", name, of, key)
	}
}

var nullWithoutHas = regexp.MustCompile(`^(body(?:\.\w+)+) == null$`)

// expression looks at an expression of a response.
func (w *warner) expression(field, text string) {
	compiled, err := w.responses.Expression(field, text)
	if err != nil {
		return
	}
	if strings.Contains(text, "${") {
		w.warn(field, "'${' inside of a CEL text is not replaced: join texts with +, as in \"Bearer \" + body.access_token")
	}
	headers, _ := compiled.Fields(variable.Headers)
	for _, name := range headers {
		if lower := strings.ToLower(name); lower != name {
			w.warn(field, "headers are known by their lower-case names: write headers[%q]", lower)
		}
	}
	if match := nullWithoutHas.FindStringSubmatch(strings.TrimSpace(text)); match != nil {
		w.warn(field, "it is false where %s is missing: write !has(%s) || %s == null", match[1], match[1], match[1])
	}
}
