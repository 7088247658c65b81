// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// steps describes a provider by its YAML, with a refresh that needs no more words.
func steps(rest string) string {
	return "refresh: {request: {url: \"https://x/\"}, response: {accessToken: body.a, outputs: {scope: body.scope}}}\n" + rest
}

func TestAVariableIsUsedWhereItIsKnown(t *testing.T) {
	t.Parallel()
	const early = " is not known yet: a request is built before there is a reply (outputs.<name> is from the last one)"
	call := func(url, more string) string {
		return fmt.Sprintf(`{request: {url: "https://x/", form: {a: "%s"}}, response: {%s}}`, url, more)
	}
	cases := map[string]struct{ reason, spec, want string }{
		"a reply's status in a request": {"there is none yet", steps(`login: ` + call("${status}", "accessToken: body.a")), "spec.login.request.form.a:1:3: status" + early},
		"a reply's header in a request": {"there is none yet", steps(`login: ` + call("x${headers.etag}", "accessToken: body.a")), "spec.login.request.form.a:1:4: headers" + early},
		"the refresh token in prepare": {"it may not be sent before it is claimed", steps(`prepare: [` + call("${refreshToken}", "outputs: {a: body.a}") + `]`),
			"spec.prepare[0].request.form.a:1:3: refreshToken is not known in a call of prepare, which must spend nothing: use it in refresh"},
		"the access token in prepare":           {"the current one may be sent", steps(`prepare: [` + call("${accessToken}", "outputs: {a: body.a}") + `]`), ""},
		"an output of the same call of prepare": {"it is not there yet", steps(`prepare: [` + call("${outputs.a}", "outputs: {a: body.a}") + `]`), "spec.prepare[0].request.form.a:1:10: undeclared field 'a' of outputs (it has scope)"},
		"an output of a later call of prepare":  {"it is not there yet", steps(`prepare: [` + call("${outputs.b}", "outputs: {a: body.a}") + `, ` + call("", "outputs: {b: body.b}") + `]`), "spec.prepare[0].request.form.a:1:10: undeclared field 'b' of outputs (it has scope)"},
		"an output of an earlier call":          {"calls build on each other", steps(`prepare: [` + call("", "outputs: {a: body.a}") + `, ` + call("${outputs.a}", "outputs: {b: body.b}") + `]`), ""},
		"outputs of prepare in all that follow": {"calls build on each other", "prepare: [" + call("", "outputs: {a: body.a}") + "]\nrefresh: " + call("${outputs.a}", "accessToken: body.a") + "\nlogin: " + call("${outputs.a}", "accessToken: outputs.a") + "\nfinish: [" + call("${outputs.a}", "accessToken: body.a") + "]\nrevoke: " + call("${outputs.a}", ""), ""},
		"an output that goes to the target":     {"the last one is known to every call", steps(`prepare: [` + call("${outputs.scope}", "outputs: {a: body.a}") + `]`), ""},
		"an output of finish in refresh":        {"it is published, so it is of the last reply", "refresh: " + call("${outputs.f}", "accessToken: body.a") + "\nfinish: [" + call("", "outputs: {f: body.f}") + "]", ""},
		"the new refresh token in finish":       {"it has been saved", steps(`finish: [` + call("${refreshToken}${accessToken}", "accessToken: body.a") + `]`), ""},
		"what a refusal brought, in its call":   {"for the second try", "refresh: " + call("${outputs.?nonce}", "accessToken: body.a, failures: [{when: 'true', reason: SendAgain, outputs: {nonce: headers.nonce}}]"), ""},
		"what a refusal brought, in another":    {"it is for that call alone", "login: " + call("${outputs.?nonce}", "accessToken: body.a") + "\nrefresh: " + call("", "accessToken: body.a, failures: [{when: 'true', reason: SendAgain, outputs: {nonce: headers.nonce}}]"), "spec.login.request.form.a:1:10: undeclared field 'nonce' of outputs (it has none)"},
		"a service account's token, undeclared": {"nobody knows for whom it would be", steps(`login: ` + call("${serviceAccountToken}", "accessToken: body.a")), "spec.login.request.form.a:1:3: serviceAccountToken is not known: declare spec.inputs.serviceAccountToken, with the audience that the token is for"},
		"a service account's token, declared":   {"as subject or assertion", "inputs: {serviceAccountToken: {audience: a}}\n" + steps(`login: `+call("${serviceAccountToken}", "accessToken: body.a")), ""},
		"a field that no certificate has":       {"a typo is found", steps(`login: ` + call("${clientCertificate.crt}", "accessToken: body.a")), "spec.login.request.form.a:1:20: undeclared field 'crt' of clientCertificate (it has certificate, key)"},
		"a certificate that is None":            {"it would never be there", "inputs: {clientCertificate: None}\n" + steps(`login: `+call("${clientCertificate.key}", "accessToken: body.a")), "spec.login.request.form.a:1:20: undeclared field 'key' of clientCertificate (it has none)"},
		"authorization outside of authorize":    {"nobody is there to authorize", steps(`login: ` + call("${authorization.code}", "accessToken: body.a")), "spec.login.request.form.a:1:3: authorization is known in spec.authorize alone"},
		"a login key in a refresh":              {"further secrets for any call", "inputs: {login: [k]}\nrefresh: " + call("${login.k}", "accessToken: body.a"), ""},
		"a signature in a reply":                {"it takes milliseconds", steps(`login: ` + call("", `accessToken: 'sign("RS256", body.a, "x")'`)), "spec.login.response.accessToken:1:1: undeclared reference to 'sign': known only in a request of a provider"},
		"a header in two spellings":             {"which one is meant", steps(`login: {request: {url: "https://x/", headers: {X-A: a, x-a: b}}, response: {accessToken: body.a}}`), "spec.login.request.headers: X-A and x-a are the same header: write it once"},
		"a parameter in an audience":            {"it is known before anything is read", "inputs: {parameters: [{name: p}], serviceAccountToken: {audience: 'https://${parameters.p}'}}\n" + steps(`login: `+call("${serviceAccountToken}", "accessToken: body.a")), ""},
		"anything else in an audience":          {"it is not known when the token is made", "inputs: {serviceAccountToken: {audience: '${app.key}'}}\n" + steps(`login: `+call("${serviceAccountToken}", "accessToken: body.a")), "spec.inputs.serviceAccountToken.audience:1:3: app is not known here: parameters.<name> alone may be used"},
		"uuid in an audience":                   {"it is not known when the token is made", "inputs: {serviceAccountToken: {audience: '${uuid()}'}}\n" + steps(`login: `+call("${serviceAccountToken}", "accessToken: body.a")), "spec.inputs.serviceAccountToken.audience:1:7: uuid() is not known here: parameters.<name> alone may be used"},
		"a host that prepare found":             {"discovery", "prepare: [" + call("", "outputs: {host: body.host}") + "]\nrefresh: {request: {url: 'https://${outputs.host}/token'}, response: {accessToken: body.a}}", ""},
		"a host that a refusal names":           {"a region", "refresh: {request: {url: 'https://${outputs.?host.orValue(\"eu\")}.x.com/token'}, response: {accessToken: body.a, failures: [{when: 'true', reason: SendAgain, outputs: {host: body.host}}]}}", ""},
		"a host out of a certificate":           {"whoever holds it would choose", steps(`login: {request: {url: "https://${clientCertificate.key}/"}, response: {accessToken: body.a}}`), "spec.login.request.url: clientCertificate must not decide which host is called: only parameters with a pattern and outputs may"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tells(t, c.spec, c.want, c.reason)
		})
	}
}

func TestACallReadsWhatItIsFor(t *testing.T) {
	t.Parallel()
	with := func(field, response string) string {
		call := `{request: {url: "https://x/"}, response: {` + response + `}}`
		if field == "prepare" || field == "finish" {
			call = "[" + call + "]"
		}
		return steps(field + ": " + call)
	}
	many := "[" + strings.TrimSuffix(strings.Repeat(`{request: {url: "https://x/"}, response: {outputs: {a: body.a}}}, `, 5), ", ") + "]"
	cases := map[string]struct{ reason, spec, want string }{
		"a prepare without outputs":        {"what is it for", with("prepare", ""), "spec.prepare[0].response.outputs: say what the call is for, such as {app_token: body.app_access_token}"},
		"a prepare with tokens":            {"they would go nowhere", with("prepare", "outputs: {a: body.a}, accessToken: body.a, refreshToken: body.r, tokenType: body.t, refreshTokenExpiresIn: body.e"), "spec.prepare[0].response.accessToken: leave it out: a call of prepare brings outputs alone\nspec.prepare[0].response.refreshToken: leave it out: a call of prepare brings outputs alone\nspec.prepare[0].response.tokenType: leave it out: a call of prepare brings outputs alone\nspec.prepare[0].response.refreshTokenExpiresIn: leave it out: a call of prepare brings outputs alone"},
		"a prepare with a lifetime":        {"its outputs are used again until then", with("prepare", "outputs: {a: body.a}, expiresIn: body.e"), ""},
		"five calls of prepare":            {"each costs its time", steps("prepare: " + many), "spec.prepare: it has 5 calls, of at most 4"},
		"a finish that brings nothing":     {"what is it for", with("finish", ""), "spec.finish[0].response: say what the call brings: accessToken, such as body.access_token, outputs or both"},
		"a finish with a refresh token":    {"it would not be saved in time", with("finish", "accessToken: body.a, refreshToken: body.r"), "spec.finish[0].response.refreshToken: leave it out: the refresh token has been saved before, so map it in refresh or login"},
		"a finish with outputs alone":      {"a second token beside the first", with("finish", "outputs: {a: body.a}"), ""},
		"a revoke without a response":      {"its status says enough", steps(`revoke: {request: {url: "https://x/"}}`), ""},
		"a revoke that reads a token":      {"nothing is kept", with("revoke", "accessToken: body.a, outputs: {a: body.a}"), "spec.revoke.response.accessToken: leave it out: after revoke nothing is kept\nspec.revoke.response.outputs: leave it out: after revoke nothing is kept"},
		"outputs of another reason":        {"nothing is sent again", with("login", "accessToken: body.a, failures: [{when: 'true', reason: RateLimited, outputs: {a: body.a}}]"), "spec.login.response.failures[0].outputs: they are for the call that is sent again: write reason SendAgain, or leave outputs out"},
		"an output's expression":           {"it is compiled at its place", with("login", "accessToken: body.a, failures: [{when: 'true', reason: SendAgain, outputs: {a: bdy.a}}]"), "spec.login.response.failures[0].outputs.a:1:1: undeclared reference to 'bdy': did you mean body?"},
		"to send again without outputs":    {"the second try may go well by itself", with("login", "accessToken: body.a, failures: [{when: 'true', reason: SendAgain}]"), ""},
		"a pause that is a list":           {"it must be a length or a moment", with("login", "accessToken: body.a, retryAfter: '[1]'"), "spec.login.response.retryAfter:1:1: gives list(int) where duration or timestamp or string or int or uint or double is needed"},
		"an audience that is empty":        {"a token for everybody", "inputs: {serviceAccountToken: {}}\n" + steps(`login: {request: {url: "https://x/", form: {a: "${serviceAccountToken}"}}, response: {accessToken: body.a}}`), "spec.inputs.serviceAccountToken.audience: say whom the token is for, such as https://sts.example.com"},
		"a token of five minutes":          {"an API server issues none", "inputs: {serviceAccountToken: {audience: a, expirationSeconds: 300}}\n" + steps(`login: {request: {url: "https://x/", form: {a: "${serviceAccountToken}"}}, response: {accessToken: body.a}}`), "spec.inputs.serviceAccountToken.expirationSeconds: write 600 to 86400"},
		"a service account's token unused": {"it would be made for nothing", "inputs: {serviceAccountToken: {audience: a}}\n" + steps(""), "spec.inputs.serviceAccountToken: leave it out, or use serviceAccountToken in a request: none does"},
		"a renewal after the end":          {"no token would be left", "renewal: {earliestPercentage: 100}\n" + steps(""), "spec.renewal.earliestPercentage: write 0 to 99, the part of a lifetime before which the provider renews no token"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tells(t, c.spec, c.want, c.reason)
		})
	}
}

func TestHowAPersonAuthorizesIsChecked(t *testing.T) {
	t.Parallel()
	const code = `code: {request: {url: "https://x/", form: {code: "${authorization.code}", code_verifier: "${authorization.codeVerifier}"}}, response: {refreshToken: body.r}}`
	const device = `device: {request: {url: "https://x/"}, token: {request: {url: "https://x/", form: {c: "${authorization.deviceCode}"}}, response: {refreshToken: body.r}}}`
	const query = `query: {state: "${authorization.state}", code_challenge: "${authorization.codeChallenge}", client_id: "${app.key}", redirect_uri: "${authorization.redirectURI}", scope: "${authorization.?scope}"}`
	cases := map[string]struct{ reason, authorize, want string }{
		"a page and a code":         {"RFC 6749 section 4.1", `url: "https://x/", ` + query + ", " + code, ""},
		"a device":                  {"RFC 8628", device, ""},
		"both":                      {"a person chooses", `url: "https://x/", ` + query + ", " + code + ", " + device, ""},
		"nothing":                   {"what is it for", ``, "spec.authorize: describe url and code, device, or both"},
		"a page without a code":     {"nobody could use the code", `url: "https://x/"`, "spec.authorize: url and code belong together: the page where a person grants access, and the call that turns the code it gives into tokens"},
		"a page without a state":    {"RFC 6749 section 10.12", `url: "https://x/", query: {c: "${authorization.codeChallenge}"}, ` + code, "spec.authorize.query: send the state, as state: ${authorization.state}: without it anybody could finish another's authorization (RFC 6749 section 10.12)"},
		"a page without PKCE":       {"it is the default", `url: "https://x/", query: {s: "${authorization.state}"}, ` + code, "spec.authorize.query: add code_challenge: ${authorization.codeChallenge} and code_challenge_method: S256, or write pkce: None"},
		"a code without PKCE":       {"the verifier proves who asks", `url: "https://x/", ` + query + `, code: {request: {url: "https://x/", form: {c: "${authorization.code}"}}, response: {refreshToken: body.r}}`, "spec.authorize.code.request: add code_verifier: ${authorization.codeVerifier}, or write pkce: None"},
		"no PKCE on both sides":     {"a provider may have none", `pkce: None, url: "https://x/", query: {s: "${authorization.state}"}, code: {request: {url: "https://x/", form: {c: "${authorization.code}"}}, response: {refreshToken: body.r}}`, ""},
		"a verifier without PKCE":   {"it is not known", `pkce: None, url: "https://x/", query: {s: "${authorization.state}"}, ` + code, "spec.authorize.code.request.form.code_verifier:1:16: undeclared field 'codeVerifier' of authorization (it has code, redirectURI, scope, state)"},
		"a code that is not sent":   {"nothing would come of it", `pkce: None, url: "https://x/", query: {s: "${authorization.state}"}, code: {request: {url: "https://x/"}, response: {refreshToken: body.r}}`, "spec.authorize.code.request: send the code, such as code: ${authorization.code}"},
		"a code that brings no":     {"token is what it is for", `pkce: None, url: "https://x/", query: {s: "${authorization.state}"}, code: {request: {url: "https://x/", form: {c: "${authorization.code}"}}}`, "spec.authorize.code.response: say where the reply holds the tokens: refreshToken, such as body.?refresh_token, accessToken or both"},
		"a refresh token":           {"there is none yet", `url: "https://x/", query: {s: "${refreshToken}${authorization.state}${authorization.codeChallenge}"}, ` + code, "spec.authorize.query.s:1:3: refreshToken is not known before a person has granted access"},
		"an output of the target":   {"there is none yet", `url: "https://x/", query: {s: "${outputs.scope}${authorization.state}${authorization.codeChallenge}"}, ` + code, "spec.authorize.query.s:1:10: undeclared field 'scope' of outputs (it has endpoint)"},
		"an output of prepare":      {"discovery", `url: "${outputs.endpoint}", ` + query + ", " + code, ""},
		"a device's code, not sent": {"nothing would come of it", `device: {request: {url: "https://x/"}, token: {request: {url: "https://x/"}, response: {refreshToken: body.r}}}`, "spec.authorize.device.token.request: send the code, such as device_code: ${authorization.deviceCode}"},
		"a device's reply":          {"expressions are compiled", `device: {request: {url: "https://x/"}, response: {userCode: bdy.x}, token: {request: {url: "https://x/", form: {c: "${authorization.deviceCode}"}}, response: {refreshToken: body.r}}}`, "spec.authorize.device.response.userCode:1:1: undeclared reference to 'bdy': did you mean body?"},
		"another PKCE":              {"plain proves nothing", `pkce: plain, ` + device, "spec.authorize.pkce: write S256 or None"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tells(t, "prepare: [{request: {url: \"https://x/\"}, response: {outputs: {endpoint: body.e}}}]\n"+steps("authorize: {"+c.authorize+"}"), c.want, c.reason)
		})
	}
}

func TestWhatACredentialMustBring(t *testing.T) {
	t.Parallel()
	type want struct {
		app, certificate      v1alpha1.InputRequirement
		needsLogin, remembers bool
	}
	call := func(form, response string) string {
		return `{request: {url: "https://x/", form: {a: "` + form + `"}}, response: {` + response + `}}`
	}
	const token, output = "accessToken: body.a", "outputs: {o: body.o}"
	cases := map[string]struct {
		reason, spec string
		want         want
	}{
		"the app in prepare":              {"any request counts", "prepare: [" + call("${app.key}", output) + "]\nrefresh: " + call("", token), want{"Required", "None", false, false}},
		"the app in revoke":               {"any request counts", "revoke: " + call("${app.key}", "") + "\nrefresh: " + call("", token), want{"Required", "None", false, false}},
		"a certificate's key":             {"it signs", "refresh: " + call("${clientCertificate.key}", token), want{"None", "Required", false, false}},
		"a certificate for TLS alone":     {"what the spec says", "inputs: {clientCertificate: Optional}\nrefresh: " + call("", token), want{"None", "Optional", false, false}},
		"login keys in login alone":       {"a refresh token does without", "inputs: {login: [k]}\nrefresh: " + call("", token) + "\nlogin: " + call("${login.k}", token), want{"None", "None", false, false}},
		"login keys in a refresh":         {"there is no renewal without", "inputs: {login: [k]}\nrefresh: " + call("${login.k}", token) + "\nlogin: " + call("", token), want{"None", "None", true, false}},
		"login keys in a refresh's reply": {"there is no renewal without", "inputs: {login: [k]}\nrefresh: " + call("", token+", outputs: {k: login.k}"), want{"None", "None", true, false}},
		"an output of prepare in refresh": {"it is not of the last reply", "prepare: [" + call("", output) + "]\nrefresh: " + call("${outputs.o}", token), want{"None", "None", false, false}},
		"an output of the last reply":     {"it has to be kept", "refresh: " + call("${outputs.?o}", token+", "+output), want{"None", "None", false, true}},
		"what a refusal brought":          {"it is used at once", "refresh: " + call("${outputs.?nonce}", token+", failures: [{when: 'true', reason: SendAgain, outputs: {nonce: body.nonce}}]"), want{"None", "None", false, false}},
		"a finish":                        {"it is made again by itself", "refresh: " + call("", token) + "\nfinish: [" + call("", output) + "]", want{"None", "None", false, true}},
		"the access token in revoke":      {"it has to be kept until then", "refresh: " + call("", token) + "\nrevoke: " + call("${accessToken}", ""), want{"None", "None", false, true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compiled(t, c.spec)
			if got := (want{p.App, p.ClientCertificate, p.NeedsLogin, p.RemembersReply}); got != c.want {
				t.Errorf("got %+v, want %+v\nreason: %s", got, c.want, c.reason)
			}
		})
	}
}

func TestTheLanguagesAdditionsCompiled(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
inputs: {parameters: [{name: tenant}], serviceAccountToken: {audience: "api://${parameters.tenant}", optional: true}}
renewal: {earliestPercentage: 95}
prepare: [{request: {url: "https://x/"}, response: {outputs: {a: body.a, both: body.b}}}]
login: {request: {url: "https://x/", form: {t: "${serviceAccountToken}"}}, response: {accessToken: body.a, outputs: {both: body.b}}}
finish: [{request: {url: "https://x/"}, response: {outputs: {last: body.l}}}]`)
	if diff := cmp.Diff([]string{"both", "last"}, p.Outputs); diff != "" {
		t.Errorf("what goes to the target, and nothing of prepare (-want +got):\n%s", diff)
	}
	if p.EarliestRenewal != 95 || len(p.Prepare) != 1 || len(p.Finish) != 1 || p.Revoke != nil || p.Authorize != nil {
		t.Errorf("got %+v", p)
	}
	token := p.ServiceAccountToken
	if token.Expiration != time.Hour || !token.Optional {
		t.Errorf("a service account's token: got %+v, want one of an hour that may be missing", token)
	}
	if audience, err := token.Audience(map[string]string{"tenant": "t1"}); audience != "api://t1" || err != nil {
		t.Errorf("audience: got %q, %v", audience, err)
	}
	if _, err := token.Audience(nil); err == nil || !strings.Contains(err.Error(), "spec.inputs.serviceAccountToken.audience") {
		t.Errorf("audience without its parameter: got %v", err)
	}
}
