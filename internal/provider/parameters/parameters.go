// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package parameters checks what a credential sets against what its provider declares. It
// quotes no value, and reads nothing but what it is given.
package parameters

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

// Declared is a parameter that a provider takes.
type Declared struct {
	v1alpha1.ProviderParameter
	// Matches is the compiled pattern; nil: any value.
	Matches *regexp.Regexp
}

// Bounds on what parameters are made of, as in the API's schemas, which an older
// cluster may not have.
const (
	MaxName       = 63      // bytes, as in other names of Kubernetes
	maxParameters = 64      // all of them go into one digest and one request
	maxParameter  = 2 << 10 // bytes: a URL at its longest; each is matched with a pattern
)

// Values checks what a credential sets and fills in the defaults. An empty
// value counts as not set. The error joins every problem at once and says what
// to write; it does not quote the values.
func Values(provider string, takes []Declared, given map[string]string) (map[string]string, error) {
	if len(given) > maxParameters {
		return nil, fmt.Errorf("spec.parameters has %d parameters, of at most %d", len(given), maxParameters)
	}
	values := map[string]string{}
	var names []string
	var problems []error
	for _, declared := range takes {
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
		case declared.Matches != nil && !declared.Matches.MatchString(value):
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
		if len(name) > MaxName {
			problems = append(problems, fmt.Errorf("a name in spec.parameters has %d bytes, of at most %d: remove it", len(name), MaxName))
			continue
		}
		if !slices.Contains(names, name) {
			meant := ""
			if near := spelling.Nearest(name, names); near != "" && len(names) > 1 { // the only one is named already
				meant = ": did you mean " + near + "?"
			}
			problems = append(problems, fmt.Errorf("remove spec.parameters.%s: provider %s does not take it (%s)%s", name, provider, known, meant))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return values, nil
}

func (p Declared) explained() string {
	if p.Description == "" {
		return ""
	}
	return ": " + p.Description
}
