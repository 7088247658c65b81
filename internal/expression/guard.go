// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celfunctions "cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
)

// guard refuses a call, before it runs, that would make or take far more than its
// arguments are: one replace of two texts of 64 KiB gives 4 GiB.
type guard func(arguments []ref.Val) error

// guards by the name of the function.
func guards() map[string]guard {
	return map[string]guard{
		"replace":     checkReplace,
		"join":        checkJoin,
		"format":      checkFormat,
		"split":       checkSplit,
		"indexOf":     checkSearch,
		"lastIndexOf": checkSearch,
	}
}

const errTooLong = values.Error("it would search too long: make the text or what is looked for shorter")

// guarded gives a decorator that puts the guards before the calls of a program.
// Patterns are compiled here, and their sizes noted for the count of cost.
func (e *Environment) guarded(patterns map[string]int) interpreter.InterpretableDecoratorV2 {
	return func(node interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, isCall := node.(interpreter.InterpretableCall)
		if !isCall {
			return node, nil
		}
		if call.Function() == matchesFunction {
			return guardedMatch(call, patterns)
		}
		check, has := e.guards[call.Function()]
		run := e.bindings[call.OverloadID()]
		if run == nil {
			run = e.bindings[call.Function()]
		}
		if !has || run == nil {
			return node, nil
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(arguments ...ref.Val) ref.Val {
			if err := check(arguments); err != nil {
				return types.WrapErr(err)
			}
			return run(arguments...)
		}), nil
	}
}

// guardedMatch compiles the pattern of a call of matches. It has a name of its own, so
// that CEL's optimizer, which comes later, leaves it alone.
func guardedMatch(call interpreter.InterpretableCall, patterns map[string]int) (interpreter.InterpretableV2, error) {
	arguments := call.Args()
	written, isConst := arguments[len(arguments)-1].(interpreter.InterpretableConst)
	if !isConst { // refused when it was checked
		return call, nil
	}
	pattern, _ := written.Value().(types.String)
	size, err := stepsOf(string(pattern))
	if err != nil {
		return nil, err
	}
	compiled, err := regexp.Compile(string(pattern))
	if err != nil {
		return nil, err
	}
	patterns[string(pattern)] = size
	return interpreter.NewCall(call.ID(), "@"+matchesFunction, call.OverloadID(), arguments, func(arguments ...ref.Val) ref.Val {
		text, isText := arguments[0].(types.String)
		switch {
		case !isText:
			return types.NoSuchOverloadErr()
		case len(text)*size > maxMatch:
			return types.WrapErr(errTooLong)
		}
		return types.Bool(compiled.MatchString(string(text)))
	}), nil
}

// bindings gives what the guarded functions run, by overload and by function.
func bindings(env *cel.Env, guarded map[string]guard) map[string]celfunctions.FunctionOp {
	all := map[string]celfunctions.FunctionOp{}
	for name := range guarded {
		overloads, err := env.Functions()[name].Bindings()
		if err != nil { // cel-go's own functions have bindings
			continue
		}
		for _, overload := range overloads {
			switch {
			case overload.Function != nil:
				all[overload.Operator] = overload.Function
			case overload.Binary != nil:
				all[overload.Operator] = func(arguments ...ref.Val) ref.Val { return overload.Binary(arguments[0], arguments[1]) }
			case overload.Unary != nil:
				all[overload.Operator] = func(arguments ...ref.Val) ref.Val { return overload.Unary(arguments[0]) }
			}
		}
	}
	return all
}

// texts gives the first arguments as texts; ok is false where one is none, which the
// call itself refuses.
func texts(arguments []ref.Val, count int) (all []string, ok bool) {
	if len(arguments) < count {
		return nil, false
	}
	for _, argument := range arguments[:count] {
		text, isText := argument.(types.String)
		if !isText {
			return nil, false
		}
		all = append(all, string(text))
	}
	return all, true
}

func checkReplace(arguments []ref.Val) error {
	all, ok := texts(arguments, 3)
	if !ok {
		return nil
	}
	times := strings.Count(all[0], all[1])
	if len(arguments) > 3 {
		if most, isInt := arguments[3].(types.Int); isInt && most >= 0 {
			times = int(min(int64(times), int64(most)))
		}
	}
	if len(all[0])+times*max(0, len(all[2])-len(all[1])) > MaxResult {
		return values.ErrTooLarge
	}
	return nil
}

func checkJoin(arguments []ref.Val) error {
	separator := 0
	if len(arguments) > 1 {
		text, _ := arguments[1].(types.String)
		separator = len(text)
	}
	list, isList := arguments[0].(traits.Lister)
	if !isList {
		return nil
	}
	total := 0
	for elements := list.Iterator(); elements.HasNext() == types.True; {
		text, _ := elements.Next().(types.String)
		if total += len(text) + separator; total > MaxResult {
			return values.ErrTooLarge
		}
	}
	return nil
}

func checkFormat(arguments []ref.Val) error {
	if len(arguments) < 2 {
		return nil
	}
	if values.Exceeds(arguments[1]) {
		return values.ErrTooLarge
	}
	return nil
}

func checkSplit(arguments []ref.Val) error {
	all, ok := texts(arguments, 2)
	if !ok {
		return nil
	}
	parts := strings.Count(all[0], all[1]) + 1
	if all[1] == "" {
		parts = utf8.RuneCountInString(all[0])
	}
	if len(arguments) > 2 {
		if most, isInt := arguments[2].(types.Int); isInt && most >= 0 {
			parts = int(min(int64(parts), int64(most)))
		}
	}
	if parts > values.MaxElements {
		return values.ErrTooLarge
	}
	return nil
}

func checkSearch(arguments []ref.Val) error {
	if all, ok := texts(arguments, 2); ok && len(all[0])*len(all[1]) > maxSearch {
		return errTooLong
	}
	return nil
}
