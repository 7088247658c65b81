// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
)

// path is an expression that selects a field of a variable and no more: app.key,
// body.data.?token, headers["x-a"], string(body.key).trim(). That is most of what a
// description says, and CEL's interpreter takes a dozen allocations for each.
//
// A path answers only what is plain: a text, a number or a bool, or an empty optional.
// Whatever else the values hold, and every error, is left to CEL, so that both
// always say the same.
type path struct {
	variable string
	steps    []step
	calls    []string // applied to what was selected, in order
	cost     uint64   // of the selection: no less than by CEL
}

// step selects a member of a map.
type step struct {
	field    string
	optional bool
}

// pathOf gives the path that an expression is; nil: it is more than that.
func pathOf(tree ast.Expr) *path {
	p := &path{}
	for node := tree; ; {
		switch node.Kind() {
		case ast.IdentKind:
			p.variable = node.AsIdent()
			p.cost++
			return p
		case ast.SelectKind:
			selection := node.AsSelect()
			if selection.IsTestOnly() {
				return nil
			}
			p.prepend(step{field: selection.FieldName()})
			node = selection.Operand()
		case ast.CallKind:
			if node = p.call(node.AsCall()); node == nil {
				return nil
			}
		default:
			return nil
		}
	}
}

// call takes in a call, and gives what it is applied to; nil: it is more than a path.
func (p *path) call(call ast.CallExpr) ast.Expr {
	arguments := call.Args()
	switch name := call.FunctionName(); {
	case name == trimFunction && call.IsMemberFunction() && len(arguments) == 0 && len(p.steps) == 0:
		p.calls = append([]string{name}, p.calls...)
		return call.Target()
	case name == overloads.TypeConvertString && !call.IsMemberFunction() && len(arguments) == 1 && len(p.steps) == 0:
		p.calls = append([]string{name}, p.calls...)
		return arguments[0]
	case len(arguments) == 2 && (name == operators.Index || name == operators.OptIndex || name == operators.OptSelect):
		field, isText := lexical.Literal(arguments[1])
		if !isText {
			return nil
		}
		p.prepend(step{field: field, optional: name != operators.Index})
		return arguments[0]
	}
	return nil
}

const trimFunction = "trim"

func (p *path) prepend(s step) {
	p.steps = append([]step{s}, p.steps...)
	p.cost++
}

// value selects, and says what that costs in CEL's units; ok is false where CEL has to.
func (p *path) value(variables map[string]any) (value any, cost uint64, present, ok bool) {
	value, bound := variables[p.variable]
	for _, step := range p.steps {
		if !bound {
			break
		}
		switch members := value.(type) {
		case map[string]any:
			value, bound = members[step.field]
		case map[string]string:
			value, bound = members[step.field]
		default:
			return nil, 0, false, false
		}
		if !bound && step.optional {
			return nil, p.cost, false, len(p.calls) == 0
		}
	}
	if !bound {
		return nil, 0, false, false
	}
	switch plain := value.(type) {
	case string:
		if len(plain) > MaxResult {
			return nil, 0, false, false
		}
		if len(p.calls) == 0 {
			return value, p.cost, true, true
		}
		text, cost := p.called(plain)
		return text, p.cost + cost, true, true
	case bool, int64, float64:
		return value, p.cost, true, len(p.calls) == 0
	}
	return nil, 0, false, false
}

// called applies the calls to a text. The cost is no less than by CEL.
func (p *path) called(text string) (result string, cost uint64) {
	for _, call := range p.calls {
		size := 1 + len(text)
		if call == trimFunction {
			text = strings.TrimSpace(text)
			cost += uint64(len(text))
		}
		cost += callCost(call, uint64(size+1+len(text)))
	}
	return text, cost
}
