// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
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
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	texts := make([]string, 0, len(list))
	for _, element := range list {
		if element == nil {
			continue
		}
		text, isText := textOf(element)
		if !isText {
			return nil, t.parts[0].Expression.source.at(1, 0, "it gives a list or a map where a text, or a list of texts, is needed (json.encode makes a text)")
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// text is textOf with nil as the empty text and an *Error.
func (x *Expression) text(value any) (string, error) {
	if value == nil {
		return "", nil
	}
	text, ok := textOf(value)
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
			line, column := position(text, i)
			length := closing(text[i+len("${"):])
			if length < 0 {
				return nil, &Error{Field: field, Line: line, Column: column,
					Message: "'${' is not closed: end the expression with '}', or write '$${' for the characters '${'"}
			}
			flush()
			start := i + len("${")
			stretches = append(stretches, stretch{code: true,
				source: source{field: field, text: text[start : start+length], line: line, column: column + len("${")}})
			i = start + length + len("}")
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	flush()
	return stretches, nil
}

// position gives the line and column, both from 1, of a byte of a text.
func position(text string, offset int) (line, column int) {
	before := text[:offset]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// closing gives the length of the expression at the start of a text, up to the
// brace that closes it, or -1. Braces may nest, and count for nothing inside
// strings and comments.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			length := quoted(text[i:], isRaw(text[:i]))
			if length < 0 {
				return -1
			}
			i += length
			continue
		case strings.HasPrefix(text[i:], "//"):
			length := strings.IndexByte(text[i:], '\n')
			if length < 0 {
				return -1
			}
			i += length
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
		i++
	}
	return -1
}

// isRaw tells whether a string that begins after this text is raw: r"", R”,
// br"" and the like.
func isRaw(before string) bool {
	prefix := before[len(strings.TrimRight(before, "rRbB")):]
	rest := strings.TrimSuffix(before, prefix)
	if rest != "" && isNameByte(rest[len(rest)-1]) {
		return false
	}
	return len(prefix) <= 2 && strings.ContainsAny(prefix, "rR")
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quoted gives the length of the string literal at the start of a text, or -1.
func quoted(text string, raw bool) int {
	quote := text[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text, triple) {
		quote = triple
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote)
		case text[i] == '\\' && !raw:
			i++
		}
	}
	return -1
}
