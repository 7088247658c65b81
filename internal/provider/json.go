// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// node is a value of a JSON body: an object, a list, a template or a literal.
type node interface {
	// build gives the value; present is false for an empty optional.
	build(variables map[string]any) (value any, present bool, err error)
	// parts lists the templates in it.
	parts() []part
}

type (
	objectNode   map[string]node
	listNode     []node
	templateNode struct{ *expression.Template }
	literalNode  struct{ value any }
)

func (n objectNode) build(variables map[string]any) (any, bool, error) {
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

func (n listNode) build(variables map[string]any) (any, bool, error) {
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

func (n templateNode) build(variables map[string]any) (any, bool, error) {
	return n.Value(variables)
}

func (n literalNode) build(map[string]any) (any, bool, error) { return n.value, true, nil }

func (n objectNode) parts() []part {
	var parts []part
	for _, member := range n {
		parts = append(parts, member.parts()...)
	}
	return parts
}

func (n listNode) parts() []part {
	var parts []part
	for _, element := range n {
		parts = append(parts, element.parts()...)
	}
	return parts
}

func (n templateNode) parts() []part { return []part{n.Template} }

func (literalNode) parts() []part { return nil }

// jsonBody builds a JSON body.
func (e *Exchange) jsonBody(root node) ([]byte, error) {
	value, _, err := root.build(e.variables())
	if err != nil {
		return nil, err
	}
	return jsontext.Encode(value)
}
