// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	stdcmp "cmp"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func spec(t testing.TB, text string) v1alpha1.ClusterTokenProviderSpec {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func compiled(t testing.TB, text string) *provider.Provider {
	t.Helper()
	p, err := compile.Provider("example", spec(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tells fails the test unless what is said of a description is as wanted; empty: it compiles.
func tells(t testing.TB, text, want, reason string) {
	t.Helper()
	_, err := compile.Provider("example", spec(t, text))
	got := ""
	if err != nil {
		got = err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

func TestCompileTellsEveryProblemAtItsField(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, spec, want string }{
		"nothing to call": {"a provider calls something", `{}`, "spec: describe at least one of refresh and login"},
		"several problems": {"all are told at once", `
inputs: {parameters: [{name: a-b}, {name: c, pattern: "["}, {name: d, required: true, default: x}, {name: e, pattern: "^a$", default: b}, {name: e}]}
rotation: {mode: Twice, onUnknownOutcome: Guess, reuseWindow: -1s}
lifetime: {accessToken: 100000h}
rateLimit: {requests: 0}
refresh:
  request:
    method: DELETE
    url: https://x/${foo}
    form: {a: "${app.kee}"}
    json: {"a": {"b": ["${bar}"]}}
    headers: {"a b": x, Host: y}
  response:
    accessToken: body.access_token == 1
    success: '"yes"'
    format: XML
    outputs: {refresh_token: body.r, "a/b": body.x}
    failures: [{when: status, reason: RateLimited}, {when: "status == 1", reason: OutcomeUnknown}]
`, `spec.inputs.parameters[0].name: write a name of at most 63 letters, digits and '_', such as redirectURI
spec.inputs.parameters[2]: a parameter with a default is never missing: leave out required or default
spec.inputs.parameters[4].name: e is declared twice
spec.rotation.reuseWindow: write a duration from 0s to ten years, such as 1h
spec.rotation.mode: write Auto, SingleUse or Reusable
spec.rotation.onUnknownOutcome: write Hold or RetryOnce
spec.rateLimit.requests: write at least 1
spec.inputs.parameters[1].pattern: it is not a regular expression (RE2)
spec.inputs.parameters[3].default: it does not match the pattern
spec.lifetime.accessToken: write a duration from 0s to ten years, such as 1h
spec.refresh.request.method: write GET, POST, PUT or PATCH
spec.refresh.request: a request has one body: write form or json, not both
spec.refresh.request.url:1:13: undeclared reference to 'foo' (known here: accessToken, app, clientCertificate, login, now, outputs, parameters, refreshToken, uuid())
spec.refresh.request.form.a:1:6: undeclared field 'kee' of app (it has key, secret): did you mean key?
spec.refresh.request.json.a.b[0]:1:3: undeclared reference to 'bar' (known here: accessToken, app, clientCertificate, login, now, outputs, parameters, refreshToken, uuid())
spec.refresh.request.headers: Host cannot be set: it belongs to the connection
spec.refresh.request.headers: "a b" is not the name of a header
spec.refresh.response.success:1:1: gives string where bool is needed
spec.refresh.response.format: write Auto, JSON or Form
spec.refresh.response.accessToken:1:1: gives bool where string or int or uint or double is needed
spec.refresh.response.outputs.a/b: an output becomes a key of the target: its name may hold 63 letters, digits, '-', '_' and '.'
spec.refresh.response.outputs.refresh_token: a refresh token never goes to the target: map it with refreshToken
spec.refresh.response.failures[0].when:1:1: gives int where bool is needed
spec.refresh.response.failures[1].reason: write ReauthorizationRequired, AppRejected, RequestRejected, RateLimited, ProviderUnavailable or SendAgain`},
		"a GET with a body": {"it has none", `{refresh: {request: {method: GET, url: "https://x/", form: {a: b}}, response: {accessToken: body.a}}}`,
			"spec.refresh.request: a GET request has no body: use query, or another method"},
		"app is None and used": {"it would never be there", `{inputs: {app: None}, refresh: {request: {url: "https://x/", form: {a: "${app.key}"}}, response: {accessToken: body.a}}}`,
			"spec.refresh.request.form.a:1:6: undeclared field 'key' of app (it has none)"},
		"a response variable in a request": {"there is no body yet", `{refresh: {request: {url: "https://x/", form: {a: "${body.a}"}}, response: {accessToken: body.a}}}`,
			"spec.refresh.request.form.a:1:3: body is not known yet: a request is built before there is a reply (outputs.<name> is from the last one)"},
		"login keys that no call uses": {"nothing takes them", `{inputs: {login: [a]}, refresh: {request: {url: "https://x/"}, response: {accessToken: body.a}}}`,
			"spec.inputs.login: leave it out, or use the keys in a call, as login.<key>: none does"},
		"a refresh token without a refresh": {"nothing takes it", `{inputs: {refreshToken: Required}, login: {request: {url: "https://x/"}, response: {accessToken: body.a}}}`,
			"spec.inputs.refreshToken: write None, or describe refresh: there is no call that takes a refresh token"},
		"a missing access token": {"what is the point", `{refresh: {request: {url: "https://x/"}, response: {}}}`,
			"spec.refresh.response.accessToken: say where the reply holds the access token, such as body.access_token"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile.Provider("example", spec(t, c.spec))
			if err == nil {
				t.Fatalf("%s: it compiles", c.reason)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestOnlyWhatIsBoundedDecidesTheHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a parameter that names another host")
	faults.Shows(t, "an app's key or a token as host")
	const unbounded = "parameters.free decides which host is called: give it a pattern in spec.inputs.parameters"
	cases := map[string]struct{ url, want string }{
		"a bounded host":                    {"https://${parameters.host}/x", ""},
		"a bounded URL":                     {"${parameters.url}", ""},
		"an output":                         {"https://${outputs.region}.x.com/x", ""},
		"an unbounded path":                 {"https://x.com/${parameters.free}/${refreshToken}", ""},
		"an unbounded query":                {"https://x.com?${parameters.free}", ""},
		"an unbounded host":                 {"https://${parameters.free}/x", unbounded},
		"an unbounded optional host":        {"https://${parameters.?free}.com/x", unbounded},
		"an unbounded host by index":        {`https://${parameters["free"]}/x`, unbounded},
		"an unbounded port":                 {"https://x.com:${parameters.free}/x", unbounded},
		"an unbounded end of the host":      {"https://x.com${parameters.free}/x", unbounded},
		"an unbounded user before the host": {"https://${parameters.free}@x.com/x", unbounded},
		"an unbounded host after a bounded": {"https://${parameters.host}.${parameters.free}/x", unbounded},
		"an unbounded host after a scheme":  {"${parameters.url}://${parameters.free}/x", unbounded},
		"an unbounded URL":                  {"${parameters.free}", unbounded},
		"parameters as a whole":             {`https://${parameters["ho" + "st"]}/`, "name the parameters that decide the host one by one, as parameters.<name>"},
		"the app's key":                     {"https://${app.key}.x.com/", "app must not decide which host is called: only parameters with a pattern and outputs may"},
		"the refresh token":                 {"https://${refreshToken}/", "refreshToken must not decide which host is called: only parameters with a pattern and outputs may"},
		"a UUID":                            {"https://${uuid()}.x.com/", "uuid() must not decide which host is called: only parameters with a pattern and outputs may"},
		"no scheme":                         {"x.com/token", "write an absolute URL that begins with https://"},
		"another scheme":                    {"ftp://x.com/", "write an absolute URL that begins with https://"},
		"a user name":                       {"https://a:b@x.com/", "it must not hold a user name: use basicAuth"},
		"no host":                           {"https:///x", "it is not a URL"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spec(t, `
inputs: {parameters: [{name: free}, {name: host, pattern: "^[a-z.]+$"}, {name: url, pattern: "^https://"}]}
refresh:
  request: {}
  response: {accessToken: body.a, outputs: {region: body.region}}`)
			s.Refresh.Request.URL = c.url
			_, err := compile.Provider("example", s)
			want := c.want
			if want != "" {
				want = "spec.refresh.request.url: " + want
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInference(t *testing.T) {
	t.Parallel()
	const plain = `{request: {url: "https://x/"}, response: {accessToken: body.a}}`
	cases := map[string]struct {
		spec              string
		app, refreshToken v1alpha1.InputRequirement
	}{
		"a refresh alone":            {`{refresh: ` + plain + `}`, "None", "Required"},
		"a login alone":              {`{login: ` + plain + `}`, "None", "None"},
		"both":                       {`{refresh: ` + plain + `, login: ` + plain + `}`, "None", "Optional"},
		"the app in JSON of a login": {`{login: {request: {url: "https://x/", json: {a: [{b: "${app.key}"}]}}, response: {accessToken: body.a}}}`, "Required", "None"},
		"the app in basicAuth":       {`{refresh: {request: {url: "https://x/", basicAuth: {username: "${app.key}"}}, response: {accessToken: body.a}}}`, "Required", "Required"},
		"the app in a header":        {`{refresh: {request: {url: "https://x/", headers: {A: "${app.?secret}"}}, response: {accessToken: body.a}}}`, "Required", "Required"},
		"what the spec says":         {`{inputs: {app: Optional, refreshToken: Optional}, refresh: ` + plain + `}`, "Optional", "Optional"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compiled(t, c.spec)
			if p.App != c.app || p.RefreshToken != c.refreshToken {
				t.Errorf("app %s, refresh token %s; want %s, %s", p.App, p.RefreshToken, c.app, c.refreshToken)
			}
		})
	}
}

func TestCompiledProvider(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
inputs: {login: [b, a]}
refresh: {request: {url: "https://x/"}, response: {accessToken: body.a, outputs: {z: body.z, c: body.c}}}
login: {request: {url: "https://x/"}, response: {accessToken: body.a, outputs: {d: body.d, c: body.c}}}
rotation: {mode: SingleUse, reuseWindow: 10m, onUnknownOutcome: RetryOnce}
rateLimit: {requests: 10, per: 10m}`)
	if diff := cmp.Diff([]string{"c", "d", "z"}, p.Outputs); diff != "" {
		t.Errorf("outputs of both calls, sorted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b", "a"}, p.LoginKeys); diff != "" {
		t.Errorf("login keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(provider.Rotation{Mode: "SingleUse", ReuseWindow: 10 * time.Minute, OnUnknownOutcome: "RetryOnce"}, p.Rotation); diff != "" {
		t.Errorf("rotation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&provider.RateLimit{Requests: 10, Per: 10 * time.Minute}, p.RateLimit); diff != "" {
		t.Errorf("rate limit (-want +got):\n%s", diff)
	}
	silent := compiled(t, `{refresh: {request: {url: "https://x/"}, response: {accessToken: body.a}}, rateLimit: {requests: 5}}`)
	if diff := cmp.Diff(provider.Rotation{Mode: "Auto", OnUnknownOutcome: "Hold"}, silent.Rotation); diff != "" {
		t.Errorf("rotation of a silent spec (-want +got):\n%s", diff)
	}
	if silent.RateLimit.Per != time.Second || silent.Login != nil {
		t.Error("a rate is per second, and there is no login")
	}
}

func TestTheExampleOfTheReferenceCompiles(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "```yaml\napiVersion: tokenkeeper.io/v1alpha1\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the reference has no ClusterTokenProvider")
	}
	var object v1alpha1.ClusterTokenProvider
	if err := yaml.UnmarshalStrict([]byte(example), &object); err != nil {
		t.Fatal(err)
	}
	if _, err := compile.Provider(object.Name, object.Spec); err != nil {
		t.Error(err)
	}
}

// TestTheSectionsOfTheReferenceCompile completes the fragments at the reference's end, and
// compiles them.
func TestTheSectionsOfTheReferenceCompile(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"Calls before and after", "Sent again", "DPoP", "Client certificates", "Service-account tokens", "How a person authorizes"} {
		_, rest, found := strings.Cut(string(content), "\n## "+section+"\n")
		rest, _, _ = strings.Cut(rest, "\n## ")
		_, rest, opened := strings.Cut(rest, "```yaml\n")
		example, _, closed := strings.Cut(rest, "```")
		if !found || !opened || !closed {
			t.Errorf("%s: the reference has no such section with an example", section)
			continue
		}
		if strings.HasPrefix(example, "form:") {
			example = "refresh:\n  request:\n    " + strings.ReplaceAll(example, "\n", "\n    ")
		}
		s := spec(t, example)
		if s.Refresh == nil {
			s.Refresh = &v1alpha1.ProviderCall{}
		}
		s.Refresh.Request.URL = stdcmp.Or(s.Refresh.Request.URL, "https://x/")
		s.Refresh.Response.AccessToken = stdcmp.Or(s.Refresh.Response.AccessToken, "body.access_token")
		if _, err := compile.Provider("example", s); err != nil {
			t.Errorf("%s: %v", section, err)
		}
	}
}

func TestTheLargestSpecCompiles(t *testing.T) {
	t.Parallel()
	s := spec(t, `{refresh: {request: {url: "https://x/"}, response: {accessToken: body.a}}}`)
	for range 64 {
		s.Refresh.Response.Failures = append(s.Refresh.Response.Failures, v1alpha1.FailureRule{When: v1alpha1.Expression(strings.Repeat("status == 1 || ", 100) + "false"), Reason: "RateLimited"})
	}
	if _, err := compile.Provider("example", s); err != nil {
		t.Errorf("the largest spec that the API lets in compiles: %v", err)
	}
}
