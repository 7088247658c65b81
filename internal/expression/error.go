// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/hint"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/keys"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
)

// Error is a problem with an expression, at its place in the field that holds
// it. It never quotes a value.
type Error struct {
	// Field is the path of the field, such as spec.refresh.request.url.
	Field string
	// Line and Column count from 1, Column in characters, within the field's
	// text.
	Line, Column int
	// Message says what is wrong.
	Message string

	missing bool
}

// Error implements error: field:line:column: message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Field, e.Line, e.Column, e.Message)
}

// IsMissing tells whether an evaluation failed because a value that it names is
// not there, as opposed to being of no use.
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.missing
}

// source is a stretch of CEL inside a field, and where in the field it starts.
type source struct {
	field        string
	text         string
	line, column int // of the first character, counted from 1
	inTemplate   bool
}

// at makes an Error of a place that CEL gave: line from 1, column from 0.
func (s source) at(line, column int, message string) *Error {
	if line <= 1 {
		return &Error{Field: s.field, Line: s.line, Column: s.column + max(column, 0), Message: message}
	}
	return &Error{Field: s.field, Line: s.line + line - 1, Column: column + 1, Message: message}
}

// problems makes an Error of each hint, and joins them.
func (s source) problems(hints []hint.Problem) error {
	var problems []error
	for _, each := range hints {
		problems = append(problems, s.at(each.Line, each.Column, each.Message))
	}
	return errors.Join(problems...)
}

// evaluationMessage replaces the text of CEL's error, which may quote a secret,
// by one of a few sentences.
func evaluationMessage(err error) (message string, missing bool) {
	var safe values.Error
	if errors.As(err, &safe) {
		return safe.Error(), false
	}
	var ofKey keys.Error
	if errors.As(err, &ofKey) {
		return ofKey.Error(), false
	}
	text := err.Error()
	for _, known := range []struct {
		part, message string
		missing       bool
	}{
		{"no such key", "a key that it names is missing", true},
		{"no such attribute", "a value that it names is missing", true},
		{"optional.none() dereference", "an optional value is empty", true},
		{"index out of bounds", "the list is shorter", true},
		{"no such overload", "a value is of another type than it needs", false},
		{"unsupported type", "a value is of another type than it needs", false},
		{"conversion error", "a value cannot be converted", false},
		{"invalid RFC 3339 timestamp", "a value cannot be converted", false},
		{"division by zero", "division by zero", false},
		{"divide by zero", "division by zero", false},
		{"modulus by zero", "division by zero", false},
		{"overflow", "a number is out of range", false},
		{"cost limit", "it costs too much for the values at hand", false},
	} {
		if strings.Contains(text, known.part) {
			return known.message, known.missing
		}
	}
	return "it cannot be evaluated over the values at hand", false
}

// nodeOf gives the node of the syntax tree that failed, or 0.
func nodeOf(err error) int64 {
	var failed *types.Err
	if errors.As(err, &failed) {
		return failed.NodeID()
	}
	return 0
}
