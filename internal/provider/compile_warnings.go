// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import "github.com/tokenkeeper/tokenkeeper/internal/expression"

// responsesAlone are the variables that a request does not have, for the words about
// them.
func responsesAlone() []expression.Variable {
	var variables []expression.Variable
	for _, name := range []string{statusVariable, headersVariable, bodyVariable} {
		variables = append(variables, expression.Elsewhere(name, "known only in a response"))
	}
	return variables
}
