// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// place is where in a reply a value stands: body or headers, and the keys from there on, a
// text for a member and an int for an element.
type place []any

// expression is one field of a description. The zero value is a field that is left out.
type expression struct {
	program  cel.Program
	places   []place // that it names, each once
	literals []any   // that it compares with, and texts that its regular expressions match
}

// language compiles expressions.
type language struct {
	env *cel.Env
}

func newLanguage() (language, error) {
	env, err := cel.NewEnv(cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), ext.Strings(), ext.Encoders(), ext.Math())
	if err != nil {
		return language{}, fmt.Errorf("declare CEL's functions: %w", err)
	}
	return language{env}, nil
}

// compile reads a field. It is parsed and not checked, so that names need no declarations.
func (l language) compile(source v1alpha1.Expression) (expression, error) {
	if source == "" {
		return expression{}, nil
	}
	parsed, issues := l.env.Parse(string(source))
	if issues.Err() != nil {
		return expression{}, fmt.Errorf("parse %s: %w", source, issues.Err())
	}
	program, err := l.env.Program(parsed)
	if err != nil {
		return expression{}, fmt.Errorf("plan %s: %w", source, err)
	}
	e := expression{program: program}
	e.find(parsed.NativeRep().Expr(), map[string]place{})
	return e, nil
}

func (e *expression) isSet() bool { return e.program != nil }

// find gathers the places and literals of an expression. elements are the variables of the
// macros around it, each as the first element of what it runs over.
func (e *expression) find(at ast.Expr, elements map[string]place) {
	if found := placeOf(at, elements); len(found) > 1 || len(found) == 1 && found[0] == "body" {
		e.addPlace(found)
		return
	}
	switch at.Kind() {
	case ast.LiteralKind:
		e.addLiteral(at.AsLiteral().Value())
	case ast.SelectKind:
		e.find(at.AsSelect().Operand(), elements)
	case ast.CallKind:
		call := at.AsCall()
		if call.IsMemberFunction() {
			e.find(call.Target(), elements)
		}
		for _, argument := range call.Args() {
			e.find(argument, elements)
		}
		e.findInCall(call)
	case ast.ListKind:
		for _, element := range at.AsList().Elements() {
			e.find(element, elements)
		}
	case ast.ComprehensionKind:
		e.findInMacro(at.AsComprehension(), elements)
	}
}

// findInCall takes what two functions say beside their arguments.
func (e *expression) findInCall(call ast.CallExpr) {
	arguments := call.Args()
	switch {
	case call.FunctionName() == operators.In && arguments[1].Kind() == ast.IdentKind && arguments[1].AsIdent() == "headers":
		if name, ok := literal(arguments[0]).(string); ok {
			e.addPlace(place{"headers", name})
		}
	case call.FunctionName() == "matches" && len(arguments) > 0:
		if pattern, ok := literal(arguments[len(arguments)-1]).(string); ok {
			e.addLiteral(exampleOf(pattern))
		}
	}
}

func (e *expression) findInMacro(macro ast.ComprehensionExpr, elements map[string]place) {
	inner := map[string]place{}
	for name, element := range elements {
		inner[name] = element
	}
	if over := placeOf(macro.IterRange(), elements); over != nil {
		inner[macro.IterVar()] = append(slices.Clone(over), 0)
	} else {
		e.find(macro.IterRange(), elements)
	}
	e.find(macro.LoopStep(), inner)
	e.find(macro.Result(), inner)
}

func (e *expression) addPlace(found place) {
	if !slices.ContainsFunc(e.places, func(known place) bool { return slices.Equal(known, found) }) {
		e.places = append(e.places, found)
	}
}

func (e *expression) addLiteral(value any) {
	if value != nil && !slices.Contains(e.literals, value) {
		e.literals = append(e.literals, value)
	}
}

// placeOf gives the place that an expression names, such as body.?data.error; nil: it is
// something else.
func placeOf(at ast.Expr, elements map[string]place) place {
	var of ast.Expr
	var key any
	switch at.Kind() {
	case ast.IdentKind:
		name := at.AsIdent()
		if element, ok := elements[name]; ok {
			return element
		}
		if name == "body" || name == "headers" {
			return place{name}
		}
		return nil
	case ast.SelectKind:
		of, key = at.AsSelect().Operand(), at.AsSelect().FieldName()
	case ast.CallKind:
		call := at.AsCall()
		if !slices.Contains([]string{operators.Index, operators.OptIndex, operators.OptSelect}, call.FunctionName()) {
			return nil
		}
		of, key = call.Args()[0], literal(call.Args()[1])
		if index, ok := key.(int64); ok {
			key = int(index)
		}
	}
	if of == nil || key == nil {
		return nil
	}
	if base := placeOf(of, elements); base != nil {
		return append(slices.Clone(base), key)
	}
	return nil
}

// literal gives the value of a literal; nil: it is none.
func literal(at ast.Expr) any {
	if at.Kind() != ast.LiteralKind {
		return nil
	}
	return at.AsLiteral().Value()
}

// alsoWith is the expression with what it may compare with beside its literals.
func (e expression) alsoWith(known *known) expression {
	e.literals = slices.Clone(e.literals)
	for _, value := range known.parameters {
		e.addLiteral(value)
	}
	for _, value := range known.outputs {
		e.addLiteral(value)
	}
	return e
}

// value evaluates a field over a reply; ok is false where it fails, or gives nothing.
func (e *expression) value(reply Reply, known *known) (value any, ok bool) {
	if !e.isSet() {
		return nil, false
	}
	result, _, err := e.program.Eval(map[string]any{
		"status": int64(reply.Status), "headers": reply.Headers, "body": reply.Body,
		"parameters": known.parameters, "outputs": known.outputs, "accessToken": "", "refreshToken": "",
	})
	if err != nil {
		return nil, false
	}
	if optional, isOptional := result.(*types.Optional); isOptional {
		if !optional.HasValue() {
			return nil, false
		}
		result = optional.GetValue()
	}
	return result.Value(), true
}

// isTrue reports whether a condition holds over a reply.
func (e *expression) isTrue(reply Reply, known *known) bool {
	value, ok := e.value(reply, known)
	return ok && value == true
}
