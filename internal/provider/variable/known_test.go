// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package variable_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

func call(outputs ...string) v1alpha1.ProviderCall {
	call := v1alpha1.ProviderCall{}
	call.Response.Outputs = map[string]v1alpha1.Expression{}
	for _, name := range outputs {
		call.Response.Outputs[name] = "body.x"
	}
	return call
}

func TestWhatIsPublishedIsOfRefreshLoginAndFinish(t *testing.T) {
	t.Parallel()
	refresh, login := call("b"), call("c", "b")
	known := variable.Of(v1alpha1.ClusterTokenProviderSpec{
		Prepare: []v1alpha1.ProviderCall{call("p")}, Refresh: &refresh, Login: &login, Finish: []v1alpha1.ProviderCall{call("a")},
	})
	if diff := cmp.Diff([]string{"a", "b", "c"}, known.Published()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnExpressionUsesWhatItsScopeKnows(t *testing.T) {
	t.Parallel()
	prepared, plain := variable.Of(v1alpha1.ClusterTokenProviderSpec{}), variable.Of(v1alpha1.ClusterTokenProviderSpec{})
	prepared.AddPrepared(call("p"))
	for name, c := range map[string]struct {
		known      *variable.Known
		scope      variable.Scope
		expression string
		compiles   bool
	}{
		"an output of prepare":                     {prepared, variable.Scope{}, "outputs.p", true},
		"an output of nobody":                      {plain, variable.Scope{}, "outputs.p", false},
		"an output to send again":                  {plain, variable.Scope{Again: []string{"p"}}, "outputs.p", true},
		"the refresh token":                        {plain, variable.Scope{}, "refreshToken", true},
		"the refresh token where nothing is spent": {plain, variable.Scope{SpendsNothing: true}, "refreshToken", false},
		"the refresh token before there is one":    {plain, variable.Scope{Authorization: []string{"code"}}, "refreshToken", false},
		"a person's code":                          {plain, variable.Scope{Authorization: []string{"code"}}, "authorization.code", true},
		"a person's code elsewhere":                {plain, variable.Scope{}, "authorization.code", false},
		"a reply before it is there":               {plain, variable.Scope{}, "body.x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests, responses := c.known.In(c.scope)
			if _, err := requests.Expression("field", c.expression); (err == nil) != c.compiles {
				t.Errorf("%s in a request: %v", c.expression, err)
			}
			if _, err := responses.Expression("field", "body.x"); err != nil {
				t.Errorf("a response knows its body: %v", err)
			}
		})
	}
	if _, err := plain.InParametersAlone().Expression("field", "app.key"); err == nil {
		t.Error("parameters alone are known, and the app was used")
	}
}
