// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/hint"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
)

// uses is what an expression says about its variables.
type uses struct {
	fields map[string]map[string]bool // by variable, the fields that are named
	whole  map[string]bool            // the variables that are used other than by a named field
	names  map[int64]string           // by node, the a.b that it stands for, as written
}

// usesFinder walks a checked syntax tree.
type usesFinder struct {
	expression *Expression
	variables  map[string]Variable
	local      []string // names that comprehensions bind here
	problems   []error

	nodes, loops, loopUses, patterns, steps int // see bounds.go
}

// findUses fills in x.uses. A field that its map does not declare is an error.
func (x *Expression) findUses(variables map[string]Variable) error {
	x.uses = uses{fields: map[string]map[string]bool{}, whole: map[string]bool{}, names: map[int64]string{}}
	finder := &usesFinder{expression: x, variables: variables}
	finder.walk(x.tree.Expr())
	x.weight = finder.weight()
	return errors.Join(append(finder.problems, finder.checkShape())...)
}

func (f *usesFinder) walk(node ast.Expr) {
	f.nodes++
	switch node.Kind() {
	case ast.IdentKind:
		if name, ok := f.variable(node); ok {
			f.use(node, name)
			f.expression.uses.whole[name] = true
		} else if slices.Contains(f.local, name) && !isGenerated(name) {
			f.loopUses++
		}
	case ast.SelectKind:
		selection := node.AsSelect()
		if name, ok := f.variable(selection.Operand()); ok {
			f.field(node, selection.Operand(), name, selection.FieldName())
			return
		}
		f.walk(selection.Operand())
	case ast.CallKind:
		f.pattern(node)
		f.call(node)
	case ast.ListKind:
		for _, element := range node.AsList().Elements() {
			f.walk(element)
		}
	case ast.MapKind:
		for _, entry := range node.AsMap().Entries() {
			f.walk(entry.AsMapEntry().Key())
			f.walk(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, entry := range node.AsStruct().Fields() {
			f.walk(entry.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		f.comprehension(node.AsComprehension())
	}
}

// call sees a.?b, a["b"], a[?"b"] and "b" in a; other calls are walked.
func (f *usesFinder) call(node ast.Expr) {
	call := node.AsCall()
	arguments := call.Args()
	if len(arguments) == 2 {
		operand, key := arguments[0], arguments[1]
		switch call.FunctionName() {
		case operators.In:
			operand, key = key, operand
			fallthrough
		case operators.OptSelect, operators.Index, operators.OptIndex:
			name, isVariable := f.variable(operand)
			field, isText := lexical.Literal(key)
			if isVariable && isText {
				f.field(node, operand, name, field)
				return
			}
		}
	}
	if call.IsMemberFunction() {
		f.walk(call.Target())
	}
	for _, argument := range arguments {
		f.walk(argument)
	}
}

func (f *usesFinder) comprehension(node ast.ComprehensionExpr) {
	f.loop(node)
	f.walk(node.IterRange())
	f.walk(node.AccuInit())
	outer := f.local
	f.local = append(slices.Clone(outer), node.IterVar(), node.IterVar2(), node.AccuVar())
	f.walk(node.LoopCondition())
	f.walk(node.LoopStep())
	f.walk(node.Result())
	f.local = outer
}

// variable gives the name of the declared variable that a node is.
func (f *usesFinder) variable(node ast.Expr) (string, bool) {
	if node.Kind() != ast.IdentKind {
		return "", false
	}
	if slices.Contains(f.local, node.AsIdent()) {
		return node.AsIdent(), false
	}
	_, declared := f.variables[node.AsIdent()]
	return node.AsIdent(), declared
}

// use notes the use of a variable at a node.
func (f *usesFinder) use(node ast.Expr, name string) {
	if why := f.variables[name].refusal; why != "" {
		f.problem(node, why)
	}
	if f.expression.uses.fields[name] == nil {
		f.expression.uses.fields[name] = map[string]bool{}
	}
}

func (f *usesFinder) field(node, operand ast.Expr, name, field string) {
	f.use(operand, name)
	f.expression.uses.fields[name][field] = true
	f.expression.uses.names[node.ID()] = name + "." + field
	variable := f.variables[name]
	if !variable.declared || variable.refusal != "" || slices.Contains(variable.fields, field) {
		return
	}
	known := "it has none"
	if len(variable.fields) > 0 {
		known = "it has " + strings.Join(variable.fields, ", ")
	}
	message := fmt.Sprintf("undeclared field '%s' of %s (%s)", field, name, known)
	if near := hint.Nearest(field, variable.fields); near != "" {
		message += ": did you mean " + near + "?"
	}
	f.problem(node, message)
}

// problem notes what is wrong at a node.
func (f *usesFinder) problem(node ast.Expr, message string) {
	location := f.expression.tree.SourceInfo().GetStartLocation(node.ID())
	f.problems = append(f.problems, f.expression.source.at(location.Line(), location.Column(), message))
}
