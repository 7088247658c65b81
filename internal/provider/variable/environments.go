// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package variable

import (
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// environments are what the requests and the responses of all providers are compiled in.
// Both know every variable; a scope says which fields they have, and where they have no
// value. To make them takes milliseconds, so they are made once.
var environments = sync.OnceValues(func() (pair [2]*expression.Environment, err error) {
	all := []expression.Variable{
		expression.TextMap(App, nil),
		expression.Text(RefreshToken),
		expression.Text(AccessToken),
		expression.TextMap(Login, nil),
		expression.TextMap(ClientCertificate, nil),
		expression.Text(ServiceAccountToken),
		expression.TextMap(Parameters, nil),
		expression.AnyMap(Outputs, nil),
		expression.Timestamp(Now),
		expression.UUID(),
		expression.TextMap(Authorization, nil),
		expression.Integer(Status),
		expression.AnyMap(Headers, nil),
		expression.Any(Body),
	}
	if pair[0], err = expression.NewSigningEnvironment(all...); err == nil {
		pair[1], err = expression.NewEnvironment(all...)
	}
	return pair, err
})
