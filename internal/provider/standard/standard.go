// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package standard

import (
	_ "embed"
	"fmt"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

//go:embed oauth2.yaml
var oauth2 []byte

// The names of the variables of the rules.
const (
	statusVariable  = "status"
	headersVariable = "headers"
	codeVariable    = "code"
	wordsVariable   = "words"
)

type rule struct {
	when   *expression.Expression
	reason string
}

// rules are compiled once: all providers share them.
var rules = sync.OnceValues(func() ([]rule, error) {
	environment, err := expression.NewEnvironment(expression.Integer(statusVariable), expression.AnyMap(headersVariable, nil),
		expression.Text(codeVariable), expression.Text(wordsVariable))
	if err != nil {
		return nil, err
	}
	var stated []v1alpha1.FailureRule
	if err := yaml.UnmarshalStrict(oauth2, &stated); err != nil {
		return nil, err
	}
	var all []rule
	for i, each := range stated {
		when, err := environment.Condition(fmt.Sprintf("oauth2[%d].when", i), string(each.When))
		if err != nil {
			return nil, err
		}
		all = append(all, rule{when, string(each.Reason)})
	}
	return all, nil
})

// Reason says what a refusal of an OAuth 2.0 token endpoint means, of which nothing was
// spent; "" says that no rule knows. headers gives the headers by lower-case name.
func Reason(status int, headers, body, budget any) string {
	all, err := rules()
	if err != nil {
		return "" // the tests compile them
	}
	variables := map[string]any{
		statusVariable: int64(status), headersVariable: headers, codeVariable: codeOf(status, body), wordsVariable: wordsOf(body, 1),
		expression.BudgetKey: budget,
	}
	for _, each := range all {
		if each.when.True(variables) {
			return each.reason
		}
	}
	return ""
}
