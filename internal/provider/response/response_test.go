// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package response_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/response"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

func compiled(t *testing.T, text string) *expression.Expression {
	t.Helper()
	_, responses := variable.Of(v1alpha1.ClusterTokenProviderSpec{}).In(variable.Scope{})
	field, err := responses.Expression("field", text)
	if err != nil {
		t.Fatal(err)
	}
	return field
}

func TestATokenMayBeInTheMembersThatItsFieldsName(t *testing.T) {
	t.Parallel()
	named := response.Response{AccessToken: compiled(t, "body.access_token"), ExpiresIn: compiled(t, "body.?expires_in"), Message: compiled(t, "body.message")}
	whole := response.Response{AccessToken: compiled(t, "string(body)")}
	for name, want := range map[string]bool{"access_token": true, " access_token ": true, "expires_in": true, "message": false, "other": false} {
		if got := named.MayHoldToken(name); got != want {
			t.Errorf("%q may hold a token: %t", name, got)
		}
		if !whole.MayHoldToken(name) {
			t.Errorf("%q may hold a token where the whole body does", name)
		}
	}
	if got := len(named.Parts()); got != 3 {
		t.Errorf("it has %d expressions, not 3", got)
	}
}
