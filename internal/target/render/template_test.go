// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var site = map[string]string{"site": "shop.example.com"}

func granted() token.Token {
	return token.Token{
		AccessToken: secret.New("the-token"),
		Type:        "mac",
		Validity:    token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon},
		Outputs:     map[string]any{"scope": "1 3", "openId": int64(9007199254740993)},
	}
}

func templated(data map[string]string) v1alpha1.Target {
	return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Type: "Opaque", Data: data}}
}

func TestRender(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
		change func(*token.Token)
		want   map[string]string
	}{
		"without a template": {
			"the token, its type, its expiry and each output", v1alpha1.Target{}, func(*token.Token) {},
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z", "scope": "1 3", "openId": "9007199254740993"},
		},
		"an output that the reply lacks": {
			"its key is left out", v1alpha1.Target{}, func(t *token.Token) { delete(t.Outputs, "scope") },
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z", "openId": "9007199254740993"},
		},
		"an output that is a list": {
			"it is written as JSON, and does not keep the token back", v1alpha1.Target{}, func(t *token.Token) { t.Outputs = map[string]any{"scope": []any{"a", int64(1)}, "openId": nil} },
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z", "scope": `["a",1]`},
		},
		"no outputs at all": {
			"a reply without outputs is a reply", v1alpha1.Target{}, func(t *token.Token) { t.Outputs = nil },
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z"},
		},
		"a header": {
			"text around an expression", templated(map[string]string{"AUTHORIZATION": "Bearer ${accessToken}"}), func(*token.Token) {},
			map[string]string{"AUTHORIZATION": "Bearer the-token"},
		},
		"a literal dollar": {
			"$${ writes ${", templated(map[string]string{"x": "$${accessToken}"}), func(*token.Token) {},
			map[string]string{"x": "${accessToken}"},
		},
		"a registry's login": {
			"an expression may hold braces and quotes",
			templated(map[string]string{".dockerconfigjson": `${json.encode({"auths": {parameters.site: {"auth": base64.encode(bytes("oauth2:" + accessToken))}}})}`}),
			func(*token.Token) {},
			map[string]string{".dockerconfigjson": `{"auths":{"shop.example.com":{"auth":"b2F1dGgyOnRoZS10b2tlbg=="}}}`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := NewCompiler().Compile(t.Context(), "team", c.spec, []string{"openId", "scope"}, site)
			if err != nil {
				t.Fatal(err)
			}
			in := granted()
			c.change(&in)
			content, err := template.Render(in, site)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for key, value := range content.Data {
				got[key] = string(value)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestCompileSaysWhereATemplateIsWrong(t *testing.T) {
	t.Parallel()
	labelled := func(key, value string) v1alpha1.Target {
		return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{key: value}}}}
	}
	annotated := func(key, value string) v1alpha1.Target {
		return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Annotations: map[string]string{key: value}}}}
	}
	typed := func(kind string, keys ...string) v1alpha1.Target {
		target := templated(map[string]string{})
		target.Template.Type = kind
		for _, key := range keys {
			target.Template.Data[key] = "x"
		}
		return target
	}
	const late = "the API server would refuse it after the token was spent"
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
		want   string
	}{
		"an unknown variable":        {"the field, line and column", templated(map[string]string{"x": "Bearer ${token}"}), "spec.target.template.data[x]:1:10"},
		"a refresh token":            {"a refresh token never goes to the target", templated(map[string]string{"x": "${refreshToken}"}), "spec.target.template.data[x]:1:3"},
		"an unknown output":          {"outputs are declared", templated(map[string]string{"x": "${outputs.nope}"}), "nope"},
		"an unknown parameter":       {"parameters are declared", templated(map[string]string{"x": "${parameters.nope}"}), "nope"},
		"an unfinished ${ here":      {"what is opened is closed", templated(map[string]string{"x": "a ${accessToken"}), "spec.target.template.data[x]:1:"},
		"a bad label":                {late, labelled("a b", "c"), "spec.target.template.metadata.labels[a b]"},
		"a bad value":                {late, labelled("a", "b c"), "spec.target.template.metadata.labels[a]"},
		"a bad annotation":           {late, annotated("a/b/c", "d"), "spec.target.template.metadata.annotations[a/b/c]"},
		"annotations that are long":  {late, annotated("a", strings.Repeat("x", 270_000)), "the API server takes 262144"},
		"annotations just too long":  {"the mark needs room beside them", annotated("a", strings.Repeat("x", 262_100)), "with the operator's own"},
		"a mark":                     {"a mark that no token goes with would be believed", annotated("token.tokenkeeper.io/1", "x"), "spec.target.template.metadata.annotations[token.tokenkeeper.io/1]: a template sets nothing of tokenkeeper.io"},
		"a label of a state":         {"it would make a Secret look like another credential's state", labelled("token.tokenkeeper.io/live", "x"), "spec.target.template.metadata.labels[token.tokenkeeper.io/live]: a template sets nothing of tokenkeeper.io"},
		"a label of Kubernetes":      {"an add-on manager deletes what bears it", labelled("addonmanager.kubernetes.io/mode", "Reconcile"), "a template sets nothing of kubernetes.io"},
		"a key ..token":              {late, templated(map[string]string{"..token": "x"}), "spec.target.template.data[..token]"},
		"a key .":                    {late, templated(map[string]string{".": "x"}), "spec.target.template.data[.]"},
		"a key ..":                   {late, templated(map[string]string{"..": "x"}), "spec.target.template.data[..]"},
		"a key with a slash":         {late, templated(map[string]string{"a/b": "x"}), "spec.target.template.data[a/b]"},
		"a policy of a newer CRD":    {"it must not be taken for the default", v1alpha1.Target{CreationPolicy: "Adopt"}, `does not know "Adopt": write Owner or Merge`},
		"a type of a newer CRD":      {"it must not be taken for the default", typed("kubernetes.io/tls", "tls.crt"), `does not write Secrets of type "kubernetes.io/tls"`},
		"a registry's without key":   {late, typed("kubernetes.io/dockerconfigjson", "x"), "needs the key .dockerconfigjson"},
		"basic-auth without a key":   {late, typed("kubernetes.io/basic-auth", "x"), "needs the key username or password"},
		"a registry's without a map": {late, v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Type: "kubernetes.io/dockerconfigjson"}}, "needs the key .dockerconfigjson"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewCompiler().Compile(t.Context(), "team", c.spec, []string{"scope"}, site)
			if !problem.Is(err, v1alpha1.InvalidParametersReason) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want it to contain %q", c.reason, err, c.want)
			}
		})
	}
}

func TestCompileTakesWhatTheAPIServerTakes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
	}{
		"nothing":                   {"everything has a default", v1alpha1.Target{}},
		"External Secrets' label":   {"its webhook generator reads no Secret without it", v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{"external-secrets.io/type": "webhook", "app.kubernetes.io/part-of": "shop"}}}}},
		"an annotation in capitals": {"the API server minds no case in their names", v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Annotations: map[string]string{"Example.COM/Note": "any\ntext"}}}}},
		"a key with a dot":          {"one dot hides a file and is no parent", templated(map[string]string{".token": "x", "a..b": "y"})},
		"a password alone":          {"basic-auth needs one of two keys", v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Type: "kubernetes.io/basic-auth", Data: map[string]string{"password": "${accessToken}"}}}},
		"a merged type":             {"with Merge the type is the Secret's own", v1alpha1.Target{CreationPolicy: v1alpha1.MergePolicy, Template: &v1alpha1.TargetTemplate{Type: "kubernetes.io/dockerconfigjson", Data: map[string]string{"x": "y"}}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := NewCompiler().Compile(t.Context(), "team", c.spec, nil, nil); err != nil {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestKeysAreThoseThatATemplateMayWrite(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
		want   []string
	}{
		"no template":      {"the token and each output", v1alpha1.Target{}, []string{"access_token", "expires_at", "scope", "token_type"}},
		"a label":          {"a template without data leaves the default", v1alpha1.Target{Template: &v1alpha1.TargetTemplate{}}, []string{"access_token", "expires_at", "scope", "token_type"}},
		"data":             {"its keys, sorted", templated(map[string]string{"b": "x", "a": "y"}), []string{"a", "b"}},
		"an optional left": {"it may be there the next time", templated(map[string]string{"a": "${outputs.?scope}"}), []string{"a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := compiled(t, c.spec)
			if diff := cmp.Diff(c.want, template.Keys()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(template.Keys(), Keys(c.spec, []string{"scope"})); diff != "" {
				t.Errorf("a rival's keys are its template's (-template +rival):\n%s", diff)
			}
		})
	}
}

// compiled is a template over the output scope and the parameter site.
func compiled(t *testing.T, spec v1alpha1.Target) *Template {
	t.Helper()
	template, err := NewCompiler().Compile(t.Context(), "team", spec, []string{"scope"}, site)
	if err != nil {
		t.Fatal(err)
	}
	return template
}
