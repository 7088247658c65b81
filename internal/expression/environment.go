// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	celfunctions "cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/functions"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/hint"
)

// Environment is the set of variables that expressions of one place may use,
// beside the functions that all may use. It is safe for concurrent use.
type Environment struct {
	*library
	env       *cel.Env // the library's, with the variables
	variables map[string]Variable
	elsewhere map[string]string // by name, where a variable is known that is not known here
}

// library is the language without variables. It is made once, and shared: declaring all
// functions takes as long as compiling a whole description.
type library struct {
	base     *cel.Env
	own      map[string]bool // the names of the functions that are added to CEL's
	trackers []interpreter.CostTrackerOption
	guards   map[string]guard
	bindings map[string]celfunctions.FunctionOp // of the guarded functions
}

var (
	plainLibrary   = sync.OnceValues(func() (*library, error) { return newLibrary(functions.WithoutKeys()) })
	signingLibrary = sync.OnceValues(func() (*library, error) { return newLibrary(functions.All()) })
)

// NewEnvironment makes an environment of these variables, without functions that
// sign: a signature with a private key takes milliseconds of processor time.
func NewEnvironment(variables ...Variable) (*Environment, error) {
	return newEnvironment(plainLibrary, variables)
}

// NewSigningEnvironment makes an environment of these variables in which jwt.sign may
// be used too. It is for what an admin writes.
func NewSigningEnvironment(variables ...Variable) (*Environment, error) {
	return newEnvironment(signingLibrary, variables)
}

func newLibrary(own []functions.Function) (*library, error) {
	options := []cel.EnvOption{
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ASTValidators(cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		ext.Strings(),
		ext.Encoders(ext.EncodersVersion(0)), // later versions have a json.encode that package functions replaces
		ext.Math(),
	}
	base, err := cel.NewEnv(append(options, functions.Declared(own)...)...)
	if err != nil {
		return nil, fmt.Errorf("declare the functions of an expression: %w", err)
	}
	names := make(map[string]bool, len(own))
	for _, each := range own {
		names[each.Name] = true
	}
	guards := guards()
	return &library{base: base, own: names, trackers: costTrackers(own), guards: guards, bindings: bindings(base, guards)}, nil
}

func newEnvironment(of func() (*library, error), variables []Variable) (*Environment, error) {
	library, err := of()
	if err != nil {
		return nil, err
	}
	var options []cel.EnvOption
	byName, elsewhere := make(map[string]Variable, len(variables)), map[string]string{}
	for _, variable := range variables {
		if variable.elsewhere != "" {
			elsewhere[variable.name] = variable.elsewhere
			continue
		}
		byName[variable.name] = variable
		options = append(options, cel.Variable(variable.name, variable.kind))
		if variable.macro != "" {
			options = append(options, cel.Macros(cel.GlobalMacro(variable.macro, 0, identifier(variable.name))))
		}
	}
	env, err := library.base.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("declare the variables of an expression: %w", err)
	}
	return &Environment{library: library, env: env, variables: byName, elsewhere: elsewhere}, nil
}

// With gives an environment in which these variables, all of which this one has, are
// declared anew: with other fields, or refused. It shares all else, and costs little.
func (e *Environment) With(variables ...Variable) *Environment {
	derived := *e
	derived.variables = maps.Clone(e.variables)
	for _, variable := range variables {
		derived.variables[variable.name] = variable
	}
	return &derived
}

// known is what an expression may name, as hints are told of it.
func (e *Environment) known() hint.Known {
	all := make(map[string]hint.Variable, len(e.variables))
	for name, variable := range e.variables {
		all[name] = hint.Variable{Written: variable.Name(), Fields: variable.fields, IsCall: variable.macro != "", IsRefused: variable.refusal != ""}
	}
	return hint.Known{Variables: all, Elsewhere: e.elsewhere, Functions: e.env.Functions()}
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
	refusal  string   // why it may not be used; empty: it may

	elsewhere string // where it is known; empty: here
}

// Name of the variable, as expressions write it.
func (v Variable) Name() string {
	if v.macro != "" {
		return v.macro + "()"
	}
	return v.name
}

// Refused gives the same variable in a place where it has no value. To use it is a compile
// error, which says why.
func (v Variable) Refused(why string) Variable {
	v.refusal = why
	return v
}

// Elsewhere names a variable that these expressions may not use, and says why not, as
// in "known only in a response".
func Elsewhere(name, why string) Variable { return Variable{name: name, elsewhere: why} }

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
