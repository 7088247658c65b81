// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"slices"

	"cel.dev/cel-go/cel"
)

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
