// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/ext"
)

// Environment is the set of variables that expressions of one place may use,
// beside the functions that all may use. It is safe for concurrent use.
type Environment struct {
	env       *cel.Env
	variables map[string]Variable
	guards    map[string]guard
	bindings  map[string]functions.FunctionOp // of the guarded functions
}

// NewEnvironment makes an environment of these variables, without functions that
// sign: a signature with a private key takes milliseconds of processor time.
func NewEnvironment(variables ...Variable) (*Environment, error) {
	return newEnvironment(withoutSigning(ownFunctions()), variables)
}

// NewSigningEnvironment makes an environment of these variables in which jwt.sign may
// be used too. It is for what an admin writes.
func NewSigningEnvironment(variables ...Variable) (*Environment, error) {
	return newEnvironment(ownFunctions(), variables)
}

func newEnvironment(own []function, variables []Variable) (*Environment, error) {
	options := []cel.EnvOption{
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ASTValidators(cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		ext.Strings(),
		ext.Encoders(ext.EncodersVersion(0)), // later versions have a json.encode that this package replaces
		ext.Math(),
	}
	options = append(options, declared(own)...)
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
	guards := guards()
	return &Environment{env: env, variables: byName, guards: guards, bindings: bindings(env, guards)}, nil
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

// Lifetime compiles plain CEL that gives a number, a text, a duration or a timestamp, or
// an optional one.
func (e *Environment) Lifetime(field, source string) (*Expression, error) {
	return e.compile(newSource(field, source), append([]*cel.Type{cel.DurationType, cel.TimestampType}, scalars...))
}

var scalars = []*cel.Type{cel.StringType, cel.IntType, cel.UintType, cel.DoubleType}

func newSource(field, text string) source {
	return source{field: field, text: text, line: 1, column: 1}
}

// Variable is a name that expressions may use.
type Variable struct {
	name     string
	kind     *cel.Type
	fields   []string // the fields that may be named, sorted
	declared bool     // whether fields is all there is
	macro    string   // the function by which it is used, if it is not by name
}

// Text declares a string.
func Text(name string) Variable { return Variable{name: name, kind: cel.StringType} }

// Integer declares an int.
func Integer(name string) Variable { return Variable{name: name, kind: cel.IntType} }

// Timestamp declares a timestamp.
func Timestamp(name string) Variable { return Variable{name: name, kind: cel.TimestampType} }

// Any declares a value whose type is known only when it is used.
func Any(name string) Variable { return Variable{name: name, kind: cel.DynType} }

// TextMap declares a map of strings. To name another field than these is a
// compile error, with nil fields every one.
func TextMap(name string, fields []string) Variable {
	return Variable{name: name, kind: cel.MapType(cel.StringType, cel.StringType), fields: slices.Sorted(slices.Values(fields)), declared: true}
}

// AnyMap declares a map of values of any type. To name another field than these
// is a compile error; with nil fields any may be named.
func AnyMap(name string, fields []string) Variable {
	return Variable{name: name, kind: cel.MapType(cel.StringType, cel.DynType), fields: slices.Sorted(slices.Values(fields)), declared: fields != nil}
}

// UUIDKey is the key under which the value of uuid() is bound.
const UUIDKey = "@uuid"

// UUID declares the function uuid(). Its value is bound like a variable's, under
// UUIDKey, so that whoever binds it decides how long it stays the same.
func UUID() Variable { return Variable{name: UUIDKey, kind: cel.StringType, macro: "uuid"} }
