// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// Node is a value of a JSON body: an object, a list, a template or a literal.
type Node interface {
	// build gives the value; present is false for an empty optional.
	build(variables map[string]any) (value any, present bool, err error)
	// parts lists the templates in it.
	parts() []variable.Part
}

// Object is one of named members.
type Object map[string]Node

// List is one of elements in their order.
type List []Node

// Text is a value that a template gives.
type Text struct{ *expression.Template }

// Literal is a value that is sent as it is.
type Literal struct{ Value any }

func (n Object) build(variables map[string]any) (any, bool, error) {
	object := make(map[string]any, len(n))
	for name, member := range n {
		value, present, err := member.build(variables)
		if err != nil {
			return nil, false, err
		}
		if present {
			object[name] = value
		}
	}
	return object, true, nil
}

func (n List) build(variables map[string]any) (any, bool, error) {
	list := make([]any, 0, len(n))
	for _, element := range n {
		value, present, err := element.build(variables)
		if err != nil {
			return nil, false, err
		}
		if present {
			list = append(list, value)
		}
	}
	return list, true, nil
}

func (n Text) build(variables map[string]any) (any, bool, error) {
	return n.Value(variables)
}

func (n Literal) build(map[string]any) (any, bool, error) { //nolint:unparam // a Node may fail
	return n.Value, true, nil
}

func (n Object) parts() []variable.Part {
	var parts []variable.Part
	for _, member := range n {
		parts = append(parts, member.parts()...)
	}
	return parts
}

func (n List) parts() []variable.Part {
	var parts []variable.Part
	for _, element := range n {
		parts = append(parts, element.parts()...)
	}
	return parts
}

func (n Text) parts() []variable.Part { return []variable.Part{n.Template} }

func (Literal) parts() []variable.Part { return nil }

// encode builds a JSON body.
func encode(root Node, variables map[string]any) ([]byte, error) {
	value, _, err := root.build(variables)
	if err != nil {
		return nil, err
	}
	return jsontext.Encode(value)
}
