// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/hint"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
)

// Template is a text that may hold expressions as ${...}; $${ stands for ${
// itself. It is safe for concurrent use.
type Template struct {
	field string
	parts []Part
}

// Part is a stretch of a template: literal text, or an expression.
type Part struct {
	Literal    string
	Expression *Expression // nil for literal text
}

// Template compiles a text with ${...}. A problem is an *Error, several are
// joined.
func (e *Environment) Template(field, text string) (*Template, error) {
	if len(text) > MaxTemplate {
		return nil, &Error{Field: field, Line: 1, Column: 1, Message: fmt.Sprintf("has %d bytes, of at most %d: make it shorter", len(text), MaxTemplate)}
	}
	stretches, err := split(field, text)
	if err != nil {
		return nil, err
	}
	if count := expressions(stretches); count > maxExpressions {
		return nil, &Error{Field: field, Line: 1, Column: 1, Message: fmt.Sprintf("has %d expressions, of at most %d: use fewer", count, maxExpressions)}
	}
	template := &Template{field: field}
	var problems []error
	for _, stretch := range stretches {
		if !stretch.code {
			template.parts = append(template.parts, Part{Literal: stretch.text})
			continue
		}
		expression, err := e.compile(stretch.source, nil)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		template.parts = append(template.parts, Part{Expression: expression})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return template, nil
}

// expressions counts those among the stretches of a text.
func expressions(stretches []stretch) int {
	count := 0
	for _, each := range stretches {
		if each.code {
			count++
		}
	}
	return count
}

// Weight is about what the template takes in memory, in bytes.
func (t *Template) Weight() int {
	weight := len(t.field)
	for _, part := range t.parts {
		if weight += len(part.Literal); part.Expression != nil {
			weight += part.Expression.Weight()
		}
	}
	return weight
}

// Parts gives the template's stretches in order.
func (t *Template) Parts() []Part { return slices.Clone(t.parts) }

// Value gives the value of a template that is one ${...} and nothing else, with
// its type; of any other its text. present is false where the value is an empty
// optional, which asks for the whole to be left out. The error is an *Error.
func (t *Template) Value(variables map[string]any) (value any, present bool, err error) {
	if len(t.parts) == 1 && t.parts[0].Expression != nil {
		return t.parts[0].Expression.Value(variables)
	}
	var text strings.Builder
	for _, part := range t.parts {
		if part.Expression == nil {
			text.WriteString(part.Literal)
			continue
		}
		value, _, err := part.Expression.Value(variables)
		if err != nil {
			return nil, false, err
		}
		stretch, err := part.Expression.text(value)
		if err != nil {
			return nil, false, err
		}
		if text.WriteString(stretch); text.Len() > MaxResult {
			return nil, false, &Error{Field: t.field, Line: 1, Column: 1, Message: fmt.Sprintf("gives more than %d bytes", MaxResult)}
		}
	}
	return text.String(), true, nil
}

// Text gives the template's text. present is false where it is one ${...} that
// gives null or an empty optional, which asks for the whole to be left out;
// inside a longer text such a value is the empty text. The error is an *Error
// and never quotes a value.
func (t *Template) Text(variables map[string]any) (text string, present bool, err error) {
	value, present, err := t.Value(variables)
	if err != nil || !present || value == nil {
		return "", false, err
	}
	if len(t.parts) == 1 && t.parts[0].Expression != nil {
		text, err = t.parts[0].Expression.text(value)
		return text, err == nil, err
	}
	return value.(string), true, nil
}

// Texts gives the template's text, or those of the elements where it is one ${...} that
// gives a list; elements that are null are left out. The error is as Text's.
func (t *Template) Texts(variables map[string]any) ([]string, error) {
	value, present, err := t.Value(variables)
	if err != nil || !present || value == nil {
		return nil, err
	}
	if text, isText := values.Text(value); isText {
		return []string{text}, nil
	}
	list, isList := value.([]any)
	texts := make([]string, 0, len(list))
	for _, element := range list {
		text, isText := values.Text(element)
		if isText {
			texts = append(texts, text)
		}
		isList = isList && (isText || element == nil)
	}
	if !isList {
		return nil, t.parts[0].Expression.source.at(1, 0, "it gives a list or a map where a text, or a list of texts, is needed (json.encode makes a text)")
	}
	return texts, nil
}

// text is TextOf with nil as the empty text and an *Error.
func (x *Expression) text(value any) (string, error) {
	if value == nil {
		return "", nil
	}
	text, ok := values.Text(value)
	if !ok {
		return "", x.source.at(1, 0, "it gives a list or a map where a text is needed (json.encode makes one)")
	}
	return text, nil
}

// Uses tells whether one of the template's expressions names this variable.
func (t *Template) Uses(variable string) bool {
	return slices.ContainsFunc(t.parts, func(part Part) bool {
		return part.Expression != nil && part.Expression.Uses(variable)
	})
}

// Fields lists the fields of a map variable that the template names; whole is
// true where it uses the map in a way that may reach every field.
func (t *Template) Fields(variable string) (fields []string, whole bool) {
	all := map[string]bool{}
	for _, part := range t.parts {
		if part.Expression == nil {
			continue
		}
		some, isWhole := part.Expression.Fields(variable)
		for _, field := range some {
			all[field] = true
		}
		whole = whole || isWhole
	}
	return slices.Sorted(maps.Keys(all)), whole
}

// stretch is a part before it is compiled.
type stretch struct {
	source
	code bool
}

// split finds the expressions of a text.
func split(field, text string) ([]stretch, error) {
	var stretches []stretch
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			stretches = append(stretches, stretch{source: source{text: literal.String()}})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "$${"):
			literal.WriteString("${")
			i += len("$${")
		case strings.HasPrefix(text[i:], "${"):
			line, column := lexical.Position(text, i)
			length := lexical.Closing(text[i+len("${"):])
			if length < 0 {
				return nil, notClosed(source{field: field, text: text[i+len("${"):], line: line, column: column + len("${"), inTemplate: true})
			}
			flush()
			start := i + len("${")
			stretches = append(stretches, stretch{code: true,
				source: source{field: field, text: text[start : start+length], line: line, column: column + len("${"), inTemplate: true}})
			i = start + length + len("}")
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	flush()
	return stretches, nil
}

// notClosed says why an expression has no end: a quote in it may have none.
func notClosed(rest source) error {
	if quote, is := hint.OpenQuote(rest.text); is {
		return rest.at(quote.Line, quote.Column, quote.Message)
	}
	return &Error{Field: rest.field, Line: rest.line, Column: rest.column - len("${"),
		Message: "'${' is not closed: end the expression with '}', or write '$${' for the characters '${'"}
}
