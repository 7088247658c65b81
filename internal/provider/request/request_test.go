// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package request_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/request"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

func template(t *testing.T, text string) *expression.Template {
	t.Helper()
	requests, _ := variable.Of(v1alpha1.ClusterTokenProviderSpec{}).In(variable.Scope{})
	compiled, err := requests.Template("field", text)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func variables() map[string]any {
	return map[string]any{
		variable.App: map[string]string{"key": "id", "secret": "a b"}, variable.RefreshToken: "r&1", variable.AccessToken: "evil\nvalue",
		variable.Outputs: map[string]any{}, variable.ClientCertificate: map[string]string{}, variable.Now: time.Unix(0, 0), expression.BudgetKey: expression.NewBudget(),
	}
}

func TestARequestIsBuiltFromItsParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request                        request.Request
		url, kind, body, authorization string
	}{
		"a form": {
			request: request.Request{Method: "POST", URL: template(t, "https://x/?a=1"), Query: []request.Pair{{Name: "b", Value: template(t, "c d")}}, Form: []request.Pair{{Name: "t", Value: template(t, "${refreshToken}")}}},
			url:     "https://x/?a=1&b=c%20d", kind: "application/x-www-form-urlencoded", body: "t=r%261",
		},
		"JSON": {
			request: request.Request{Method: "PUT", URL: template(t, "https://x/"), JSON: request.Object{
				"t": request.Text{Template: template(t, "${refreshToken}")}, "none": request.Text{Template: template(t, "${clientCertificate.?key}")}, "l": request.List{request.Literal{Value: true}},
			}},
			url: "https://x/", kind: "application/json", body: `{"l":[true],"t":"r&1"}`,
		},
		"basic authentication": {
			request: request.Request{Method: "GET", URL: template(t, "https://x/"), Username: template(t, "${app.key}"), Password: template(t, "${app.secret}"), FormEncoded: true},
			url:     "https://x/", authorization: "Basic aWQ6YSti",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			built, err := c.request.Build(t.Context(), variables())
			if err != nil {
				t.Fatal(err)
			}
			var body []byte
			if built.Body != nil {
				if body, err = io.ReadAll(built.Body); err != nil {
					t.Fatal(err)
				}
			}
			got := []string{built.Method, built.URL.String(), built.Header.Get("Content-Type"), string(body), built.Header.Get("Authorization")}
			if diff := cmp.Diff([]string{c.request.Method, c.url, c.kind, c.body, c.authorization}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if built.GetBody != nil {
				t.Error("net/http could send the body a second time")
			}
		})
	}
}

func TestARequestThatCannotBeSentSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request request.Request
		want    string
	}{
		"no URL":         {request.Request{URL: template(t, "${accessToken}")}, "the provider's url does not give a URL for these inputs"},
		"another scheme": {request.Request{URL: template(t, "ftp://x/")}, "the provider's url must give an absolute URL that begins with https://"},
		"a user's name":  {request.Request{URL: template(t, "https://me@x/")}, "the provider's url must not give a URL with a user name in it"},
		"a line feed in a header": {request.Request{Method: http.MethodGet, URL: template(t, "https://x/"), Headers: []request.Pair{{Name: "X-A", Value: template(t, "${accessToken}")}}},
			"the value of the header X-A holds a line feed or another control character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.request.Build(t.Context(), variables()); err == nil || err.Error() != c.want {
				t.Errorf("the error is %v, not %q", err, c.want)
			}
		})
	}
}

func TestWhatARequestUsesIsKnown(t *testing.T) {
	t.Parallel()
	r := request.Request{
		URL: template(t, "https://x/"), Headers: []request.Pair{{Name: "X-Broken"}}, // it did not compile
		JSON: request.Object{"a": request.List{request.Text{Template: template(t, "${app.key}")}}},
	}
	if !r.Uses(variable.App) || r.Uses(variable.RefreshToken) {
		t.Error("it uses the app alone")
	}
	if r.Sends(variable.CodeField) {
		t.Error("it sends no code")
	}
}
