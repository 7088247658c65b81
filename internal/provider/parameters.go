// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

// parameter is a compiled parameter.
type parameter struct {
	v1alpha1.ProviderParameter
	pattern *regexp.Regexp // nil: any value
}

// Bounds on what parameters are made of, as in the API's schemas, which an older
// cluster may not have.
const (
	maxName       = 63      // bytes, as in other names of Kubernetes
	maxParameters = 64      // all of them go into one digest and one request
	maxParameter  = 2 << 10 // bytes: a URL at its longest; each is matched with a pattern
	maxPattern    = 1 << 10 // bytes
)

// parameterName is what an expression can write after "parameters.".
var parameterName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// parameters compiles the declared parameters.
func (c *compiler) parameters() []parameter {
	var compiled []parameter
	seen := map[string]bool{}
	for i, spec := range c.spec.Inputs.Parameters {
		field := fmt.Sprintf("spec.inputs.parameters[%d]", i)
		if !parameterName.MatchString(spec.Name) || len(spec.Name) > maxName {
			c.problem(field+".name", "write a name of at most %d letters, digits and '_', such as redirectURI", maxName)
		}
		if seen[spec.Name] {
			c.problem(field+".name", "%s is declared twice", spec.Name)
		}
		seen[spec.Name] = true
		if spec.Required && spec.Default != nil {
			c.problem(field, "a parameter with a default is never missing: leave out required or default")
		}
		compiled = append(compiled, parameter{ProviderParameter: spec})
	}
	return compiled
}

// patterns compiles the parameters' patterns, and notes which have one.
func (c *compiler) patterns(parameters []parameter) {
	for i := range parameters {
		p := &parameters[i]
		if p.Pattern == "" {
			continue
		}
		c.bounded = append(c.bounded, p.Name)
		field := fmt.Sprintf("spec.inputs.parameters[%d]", i)
		if len(p.Pattern) > maxPattern {
			c.problem(field+".pattern", "it has %d bytes, of at most %d", len(p.Pattern), maxPattern)
			continue
		}
		pattern, err := regexp.Compile(p.Pattern)
		if err != nil {
			c.problem(field+".pattern", "it is not a regular expression (RE2)")
			continue
		}
		p.pattern = pattern
		if p.Default != nil && !pattern.MatchString(*p.Default) {
			c.problem(field+".default", "it does not match the pattern")
		}
	}
}

// Parameters checks what a credential sets and fills in the defaults. An empty
// value counts as not set. The error joins every problem at once and says what
// to write; it does not quote the values.
func (p *Provider) Parameters(given map[string]string) (map[string]string, error) {
	if len(given) > maxParameters {
		return nil, fmt.Errorf("spec.parameters has %d parameters, of at most %d", len(given), maxParameters)
	}
	values := map[string]string{}
	var names []string
	var problems []error
	for _, declared := range p.parameters {
		names = append(names, declared.Name)
		value := given[declared.Name]
		switch {
		case value == "" && declared.Default != nil:
			values[declared.Name] = *declared.Default
		case value == "" && declared.Required:
			problems = append(problems, fmt.Errorf("set spec.parameters.%s%s", declared.Name, declared.explained()))
		case value == "":
		case len(value) > maxParameter:
			problems = append(problems, fmt.Errorf("spec.parameters.%s has %d bytes, of at most %d", declared.Name, len(value), maxParameter))
		case declared.pattern != nil && !declared.pattern.MatchString(value):
			problems = append(problems, fmt.Errorf("spec.parameters.%s must match %#q%s", declared.Name, declared.Pattern, declared.explained()))
		default:
			values[declared.Name] = value
		}
	}
	known := "it takes none"
	if len(names) > 0 {
		known = "it takes " + strings.Join(names, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if len(name) > maxName {
			problems = append(problems, fmt.Errorf("a name in spec.parameters has %d bytes, of at most %d: remove it", len(name), maxName))
			continue
		}
		if !slices.Contains(names, name) {
			meant := ""
			if near := spelling.Nearest(name, names); near != "" && len(names) > 1 { // the only one is named already
				meant = ": did you mean " + near + "?"
			}
			problems = append(problems, fmt.Errorf("remove spec.parameters.%s: provider %s does not take it (%s)%s", name, p.Name, known, meant))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return values, nil
}

func (p parameter) explained() string {
	if p.Description == "" {
		return ""
	}
	return ": " + p.Description
}
