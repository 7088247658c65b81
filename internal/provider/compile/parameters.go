// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"regexp"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/parameters"
)

// maxPattern is how long a pattern may be, in bytes, as in the API's schema.
const maxPattern = 1 << 10

// parameterName is what an expression can write after "parameters.".
var parameterName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// parameters compiles the declared parameters.
func (c *compiler) parameters() []parameters.Declared {
	var compiled []parameters.Declared
	seen := map[string]bool{}
	for i, spec := range c.spec.Inputs.Parameters {
		field := fmt.Sprintf("spec.inputs.parameters[%d]", i)
		if !parameterName.MatchString(spec.Name) || len(spec.Name) > parameters.MaxName {
			c.add(field+".name", "write a name of at most %d letters, digits and '_', such as redirectURI", parameters.MaxName)
		}
		if seen[spec.Name] {
			c.add(field+".name", "%s is declared twice", spec.Name)
		}
		seen[spec.Name] = true
		if spec.Required && spec.Default != nil {
			c.add(field, "a parameter with a default is never missing: leave out required or default")
		}
		compiled = append(compiled, parameters.Declared{ProviderParameter: spec})
	}
	return compiled
}

// patterns compiles the parameters' patterns, and says which have one.
func (c *compiler) patterns(declared []parameters.Declared) (bounded []string) {
	for i := range declared {
		p := &declared[i]
		if p.Pattern == "" {
			continue
		}
		bounded = append(bounded, p.Name)
		field := fmt.Sprintf("spec.inputs.parameters[%d]", i)
		if len(p.Pattern) > maxPattern {
			c.add(field+".pattern", "it has %d bytes, of at most %d", len(p.Pattern), maxPattern)
			continue
		}
		pattern, err := regexp.Compile(p.Pattern)
		if err != nil {
			c.add(field+".pattern", "it is not a regular expression (RE2)")
			continue
		}
		p.Matches = pattern
		if p.Default != nil && !pattern.MatchString(*p.Default) {
			c.add(field+".default", "it does not match the pattern")
		}
	}
	return bounded
}
