// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/hint"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
)

// Expression is compiled CEL. It is safe for concurrent use.
type Expression struct {
	source  source
	program cel.Program
	path    *path // what it is instead of a program, where it is that simple
	tree    *ast.AST
	uses    uses
	weight  int // about what it takes in memory, in bytes
}

// compile checks size, syntax, names, types, fields and cost, in this order. A nil
// wanted accepts every type.
func (e *Environment) compile(source source, wanted []*cel.Type) (*Expression, error) {
	if strings.TrimSpace(source.text) == "" {
		return nil, source.at(1, 0, "the expression is empty")
	}
	if err := checkSize(source); err != nil {
		return nil, err
	}
	parsed, issues := e.env.Parse(source.text)
	if issues.Err() != nil {
		return nil, source.problems(hint.Syntax(source.text, source.inTemplate, issues))
	}
	if err := checkNesting(source, parsed.NativeRep().Expr()); err != nil {
		return nil, err
	}
	checked, issues := e.env.Check(parsed)
	if issues.Err() != nil {
		return nil, source.problems(e.known().Check(source.text, parsed, issues))
	}
	expression := &Expression{source: source, tree: checked.NativeRep()}
	if err := expression.findUses(e.variables); err != nil {
		return nil, err
	}
	if result := checked.OutputType(); !accepts(wanted, result) {
		return nil, source.at(1, 0, fmt.Sprintf("gives %s where %s is needed", cel.FormatCELType(result), list(wanted)))
	}
	if err := e.checkCost(source, checked); err != nil {
		return nil, err
	}
	patterns := map[string]int{} // written while the program is planned, and read by its count of cost
	program, err := e.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostTracking(dispatched{}), cel.CostLimit(costLimit),
		cel.CostTrackerOptions(e.trackers...), cel.CostTrackerOptions(matchTrackers(patterns)...), cel.CustomDecoratorV2(e.guarded(patterns)))
	if err != nil {
		return nil, source.at(1, 0, "cannot be prepared: "+oneLine(err.Error()))
	}
	expression.program, expression.path = program, pathOf(checked.NativeRep().Expr())
	return expression, nil
}

// accepts tells whether a result of this type may be one of the wanted.
func accepts(wanted []*cel.Type, result *cel.Type) bool {
	if result.Kind() == types.OpaqueKind && result.TypeName() == "optional_type" && len(result.Parameters()) == 1 {
		result = result.Parameters()[0]
	}
	if wanted == nil || slices.Contains([]types.Kind{types.DynKind, types.AnyKind, types.TypeParamKind, types.NullTypeKind}, result.Kind()) {
		return true
	}
	return slices.ContainsFunc(wanted, func(t *cel.Type) bool { return t.IsExactType(result) })
}

func list(wanted []*cel.Type) string {
	var names []string
	for _, t := range wanted {
		names = append(names, cel.FormatCELType(t))
	}
	return strings.Join(names, " or ")
}

func oneLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Value evaluates the expression. The value is nil, a bool, int64, uint64,
// float64, string, []byte, time.Time, time.Duration, []any or map[string]any;
// present is false where it is an empty optional. The error is an *Error.
func (x *Expression) Value(variables map[string]any) (value any, present bool, err error) {
	if value, present, ok := x.selected(variables); ok {
		return value, present, nil
	}
	result, err := x.evaluate(variables)
	if err != nil {
		return nil, false, err
	}
	value, present, err = values.Native(result)
	if err != nil {
		return nil, false, x.source.at(1, 0, err.Error())
	}
	return value, present, nil
}

// True evaluates a condition; whatever is not true, an error included, is false.
func (x *Expression) True(variables map[string]any) bool {
	value, present, err := x.Value(variables)
	truth, isBool := value.(bool)
	return err == nil && present && isBool && truth
}

// selected evaluates the expression as a path; ok is false where that takes CEL.
func (x *Expression) selected(variables map[string]any) (value any, present, ok bool) {
	budget := budgetOf(variables)
	if x.path == nil || budget.isSpent() {
		return nil, false, false
	}
	value, cost, present, ok := x.path.value(variables)
	if ok {
		budget.spend(&cost)
	}
	return value, present, ok
}

func (x *Expression) evaluate(variables map[string]any) (ref.Val, error) {
	budget := budgetOf(variables)
	if budget.isSpent() {
		return nil, x.source.at(1, 0, "the expressions before it cost too much together for the values at hand")
	}
	result, details, err := x.program.Eval(variables)
	budget.spend(details.ActualCost())
	if err == nil && result != nil {
		return result, nil
	}
	if err == nil {
		err = errors.New("no result")
	}
	message, missing := evaluationMessage(err)
	line, column := 1, 0
	if id := nodeOf(err); id != 0 {
		location := x.tree.SourceInfo().GetStartLocation(id)
		line, column = location.Line(), location.Column()
		if name := x.uses.names[id]; name != "" && missing {
			message = fmt.Sprintf("%s is missing", name)
		}
	}
	problem := x.source.at(line, column, message)
	problem.missing = missing
	return nil, problem
}

// Uses tells whether the expression names this variable.
func (x *Expression) Uses(variable string) bool {
	_, used := x.uses.fields[variable]
	return used
}

// Weight is about what the expression takes in memory, in bytes.
func (x *Expression) Weight() int { return x.weight }

// Fields lists the fields of a map variable that the expression names; whole is
// true where it uses the map in a way that may reach every field.
func (x *Expression) Fields(variable string) (fields []string, whole bool) {
	used := x.uses.fields[variable]
	return slices.Sorted(maps.Keys(used)), x.uses.whole[variable]
}

// Variables lists the variables that the expression names, sorted.
func (x *Expression) Variables() []string { return slices.Sorted(maps.Keys(x.uses.fields)) }

// TextOf gives the text of a value that Value gave: a string as it is, bytes as
// they are, an int in decimal, a double without exponent where it is whole, a
// timestamp in RFC 3339, a duration in seconds as in "3.5s", a bool as true or
// false. ok is false for null, a list and a map.
func TextOf(value any) (text string, ok bool) { return values.Text(value) }
