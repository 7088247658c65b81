// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package request is the request of a call as it was compiled, and builds what is sent from
// the values of its variables. It sends nothing, and knows neither provider nor reply.
package request

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// Request is a compiled request; a nil template is absent.
type Request struct {
	Method string
	URL    *expression.Template
	// HostFromReply is true where the last reply has a say in which host is called.
	HostFromReply bool
	Query         []Pair
	Form          []Pair // nil: no form
	JSON          Node   // nil: no JSON
	Headers       []Pair
	Username      *expression.Template
	Password      *expression.Template
	// FormEncoded is true where user name and password are encoded before they are joined.
	FormEncoded bool
}

// Pair is a named value of a query, a form or the headers.
type Pair struct {
	Name  string
	Value *expression.Template
}

// Uses reports whether any part of the request names the variable.
func (r *Request) Uses(name string) bool { return variable.AnyUses(r.Parts(), name) }

// Sends reports whether the request uses a field of authorization.
func (r *Request) Sends(field string) bool {
	return slices.ContainsFunc(r.Parts(), func(part variable.Part) bool {
		fields, whole := part.Fields(variable.Authorization)
		return whole || slices.Contains(fields, field)
	})
}

// Parts lists the templates of the request.
func (r *Request) Parts() []variable.Part {
	var parts []variable.Part
	for _, template := range []*expression.Template{r.URL, r.Username, r.Password} {
		if template != nil {
			parts = append(parts, template)
		}
	}
	for _, pair := range slices.Concat(r.Query, r.Form, r.Headers) {
		if pair.Value != nil { // it did not compile
			parts = append(parts, pair.Value)
		}
	}
	if r.JSON != nil {
		parts = append(parts, r.JSON.parts()...)
	}
	return parts
}
