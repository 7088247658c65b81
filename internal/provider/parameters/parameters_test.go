// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package parameters_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

func compiled(t *testing.T, text string) *provider.Provider {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	p, err := compile.Provider("example", spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParameters(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
inputs:
  parameters:
  - {name: site, required: true, pattern: "^[a-z.]+$", description: the host name of the site}
  - {name: path, default: token}
  - {name: scope}
refresh: {request: {url: "https://${parameters.site}/"}, response: {accessToken: body.a}}`)
	cases := map[string]struct {
		given map[string]string
		want  map[string]string
		err   string
	}{
		"defaults are filled in":       {map[string]string{"site": "a.b"}, map[string]string{"site": "a.b", "path": "token"}, ""},
		"what is given wins":           {map[string]string{"site": "a.b", "path": "x", "scope": "s"}, map[string]string{"site": "a.b", "path": "x", "scope": "s"}, ""},
		"an empty value is not set":    {map[string]string{"site": "a.b", "path": "", "scope": ""}, map[string]string{"site": "a.b", "path": "token"}, ""},
		"a missing one says what":      {nil, nil, "set spec.parameters.site: the host name of the site"},
		"a broken pattern says what":   {map[string]string{"site": "canary/"}, nil, "spec.parameters.site must match `^[a-z.]+$`: the host name of the site"},
		"a slip":                       {map[string]string{"site": "shop.example.com", "scpoe": "x"}, nil, "remove spec.parameters.scpoe: provider example does not take it (it takes site, path, scope): did you mean scope?"},
		"an unknown one, and all else": {map[string]string{"sight": "x"}, nil, "set spec.parameters.site: the host name of the site\nremove spec.parameters.sight: provider example does not take it (it takes site, path, scope)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Parameters(c.given)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(c.err, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParametersAreBounded(t *testing.T) {
	t.Parallel()
	described := compiled(t, `
inputs: {parameters: [{name: site}]}
login: {request: {url: "https://x.example/", form: {a: "${parameters.?site}"}}, response: {accessToken: body.a}}
`)
	text := func(size int) string { return strings.Repeat("x", size) }
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprintf("p%d", i)] = "x"
	}
	for name, c := range map[string]struct {
		reason string
		given  map[string]string
		want   string // "": taken
	}{
		"a value of the size allowed":  {"the bound is inclusive", map[string]string{"site": text(2048)}, ""},
		"a value of one byte too many": {"the field, what was found and what is allowed", map[string]string{"site": text(2049)}, "spec.parameters.site has 2049 bytes, of at most 2048"},
		"a name of 64 bytes":           {"it is not quoted: it may be of any size", map[string]string{text(64): "x"}, "a name in spec.parameters has 64 bytes, of at most 63: remove it"},
		"65 parameters":                {"one message for all of them", many, "spec.parameters has 65 parameters, of at most 64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := described.Parameters(c.given)
			if got := fmt.Sprint(err); err != nil && got != c.want || err == nil && c.want != "" {
				t.Errorf("got %q, want %q\nreason: %s", got, c.want, c.reason)
			}
		})
	}
}
