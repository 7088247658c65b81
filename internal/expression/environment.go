// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/ext"
)

// Environment is the set of variables that expressions of one place may use,
// beside the functions that all may use. It is safe for concurrent use.
type Environment struct {
	env       *cel.Env
	variables map[string]Variable
}

// NewEnvironment makes an environment of these variables.
func NewEnvironment(variables ...Variable) (*Environment, error) {
	options := []cel.EnvOption{
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		ext.Strings(),
		ext.Encoders(ext.EncodersVersion(0)), // later versions have a json.encode that this package replaces
		ext.Math(),
	}
	options = append(options, functions()...)
	byName := make(map[string]Variable, len(variables))
	for _, variable := range variables {
		byName[variable.name] = variable
		options = append(options, cel.Variable(variable.name, variable.kind))
		if variable.macro != "" {
			options = append(options, cel.Macros(cel.GlobalMacro(variable.macro, 0, identifier(variable.name))))
		}
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("declare the variables of an expression: %w", err)
	}
	return &Environment{env: env, variables: byName}, nil
}

// identifier expands a call without arguments into a variable.
func identifier(name string) cel.MacroFactory {
	return func(factory cel.MacroExprFactory, _ ast.Expr, _ []ast.Expr) (ast.Expr, *cel.Error) {
		return factory.NewIdent(name), nil
	}
}

// Expression compiles plain CEL. A problem is an *Error, several are joined.
func (e *Environment) Expression(field, source string) (*Expression, error) {
	return e.compile(newSource(field, source), nil)
}

// Condition compiles plain CEL that gives true or false.
func (e *Environment) Condition(field, source string) (*Expression, error) {
	return e.compile(newSource(field, source), []*cel.Type{cel.BoolType})
}

// Scalar compiles plain CEL that gives a text, a number, or an optional one.
func (e *Environment) Scalar(field, source string) (*Expression, error) {
	return e.compile(newSource(field, source), scalars)
}

// Lifetime compiles plain CEL that gives a number, a text or a duration, or an
// optional one.
func (e *Environment) Lifetime(field, source string) (*Expression, error) {
	return e.compile(newSource(field, source), append([]*cel.Type{cel.DurationType}, scalars...))
}

// Moment compiles plain CEL that gives a timestamp, a text or a number, or an
// optional one.
func (e *Environment) Moment(field, source string) (*Expression, error) {
	return e.compile(newSource(field, source), append([]*cel.Type{cel.TimestampType}, scalars...))
}

var scalars = []*cel.Type{cel.StringType, cel.IntType, cel.UintType, cel.DoubleType}

func newSource(field, text string) source {
	return source{field: field, text: text, line: 1, column: 1}
}
