// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lint_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
)

func TestWarningsTellWhatIsMostLikelyAMistake(t *testing.T) {
	t.Parallel()
	// A description that nothing is said of, in which each case replaces a line.
	const sound = `
inputs: {app: Required, parameters: [{name: scope}, {name: region, default: eu}, {name: id, required: true}]}
rotation: {mode: SingleUse}
refresh:
  request: {url: "https://x/", form: {refresh_token: "${refreshToken}"}}
  response:
    success: status == 200
    accessToken: body.access_token
    failures:
    - {when: body.error == "invalid_grant", reason: ReauthorizationRequired}
    - {when: status == 429, reason: RateLimited}
`
	const spends = "which a gateway also answers when the provider has spent the refresh token: leave such replies to no rule"
	for name, c := range map[string]struct {
		reason, line, instead string
		want                  []string
	}{
		"nothing is wrong": {"a warning that comes always is read by nobody", "", "", nil},
		"no failure rule": {"every refusal would wait for a person", sound[strings.Index(sound, "    failures:"):], "", []string{
			`spec.refresh.response.failures: without a rule the outcome of every refused call is unknown, and the credential waits for a person: say which replies prove that nothing was spent, such as {when: body.error == "invalid_grant", reason: ReauthorizationRequired}, or take those of RFC 6749 (standardFailures: OAuth2)`}},
		"the standard ones alone":                {"they recognize a dead refresh token", sound[strings.Index(sound, "    failures:"):], "    standardFailures: OAuth2\n", nil},
		"no failure rule where nothing is spent": {"an unknown outcome is tried again", sound[strings.Index(sound, "    failures:"):] + "|rotation: {mode: SingleUse}", "|rotation: {mode: Reusable}", nil},
		"no rule for a dead refresh token": {"the person is never asked", "reason: ReauthorizationRequired", "reason: RequestRejected", []string{
			"spec.refresh.response.failures: no rule says ReauthorizationRequired: a refresh token that is no longer accepted would not be recognized"}},
		"a rule for 5xx": {"a 502 proves nothing", "when: status == 429", "when: status >= 500", []string{
			"spec.refresh.response.failures[1].when: a plain 500 matches it, " + spends}},
		"a rule for any error": {"found by what it matches, not by how it is written", "when: status == 429", `when: "!(status in [200, 201]) && (status / 100 != 4)"`, []string{
			"spec.refresh.response.failures[1].when: a plain 500 matches it, " + spends}},
		"a rule for an error that the provider names with a 503": {"its words are proof", "when: status == 429", `when: status == 503 && body.error == "temporarily_unavailable"`, nil},
		"a rule for 5xx of a Reusable token":                     {"nothing is spent", "when: status == 429|rotation: {mode: SingleUse}", "when: status >= 500|rotation: {mode: Reusable}", nil},
		"success is always true": {"an error would be a success", "success: status == 200", "success: 'true'", []string{
			"spec.refresh.response.success: it is always true: an error would count as a success; leave it out for any 2xx status"}},
		"success is never true": {"no reply would be one", "success: status == 200", "success: status == 200 && status == 201", []string{
			"spec.refresh.response.success: it is never true: no reply would count as a success"}},
		"a rule is never true": {"a mistake in a number", "when: status == 429", "when: status > 500 && status < 400", []string{
			"spec.refresh.response.failures[1].when: it is never true"}},
		"a rule behind one that is always true": {"it is never asked", `when: body.error == "invalid_grant"`, "when: 1 == 1", []string{
			"spec.refresh.response.failures[1].when: it is never asked: failures[0], before it, matches every reply",
			"spec.refresh.response.failures[0].when: a plain 500 matches it, " + spends}},
		"a rule behind one of the same statuses": {"it is never asked", `when: body.error == "invalid_grant"`, "when: status >= 400 && status < 500", []string{
			"spec.refresh.response.failures[1].when: it is never asked: failures[0], before it, matches the same statuses"}},
		"a constant access token": {"a text that was meant as an expression", "accessToken: body.access_token", `accessToken: '"body.access_token"'`, []string{
			"spec.refresh.response.accessToken: it is the same whatever the reply holds"}},
		"a template inside of a CEL text": {"it is not replaced", "accessToken: body.access_token", `accessToken: '"Bearer ${body.access_token}"'`, []string{
			"spec.refresh.response.accessToken: it is the same whatever the reply holds",
			`spec.refresh.response.accessToken: '${' inside of a CEL text is not replaced: join texts with +, as in "Bearer " + body.access_token`}},
		"a window without SingleUse": {"the mode was left out", "rotation: {mode: SingleUse}", "rotation: {mode: Reusable, reuseWindow: 10m, onUnknownOutcome: RetryOnce}", []string{
			"spec.rotation.reuseWindow: a provider that honours a spent token for a while does rotate: write mode: SingleUse beside it",
			"spec.rotation.onUnknownOutcome: it has no effect: the outcome of a Reusable token is never unknown"}},
		"CEL where a template is meant": {"it would be sent as it stands", "${refreshToken}", "refreshToken", []string{
			"spec.refresh.request.form.refresh_token: it is sent as it stands, letter for letter: write ${...} for a value, such as ${refreshToken}"}},
		"CEL deep in JSON": {"it would be sent as it stands", `form: {refresh_token: "${refreshToken}"}`, `json: {a: [{b: app.key}, {c: "{{ .token }}"}, {d: $refreshToken}], e: refresh_token, f: "app.example", g: "5 $ {a}"}`, []string{
			"spec.refresh.request.json.a[0].b: it is sent as it stands, letter for letter: write ${...} for a value, such as ${refreshToken}",
			"spec.refresh.request.json.a[1].c: it is sent as it stands, letter for letter: write ${...} for a value, such as ${refreshToken}",
			"spec.refresh.request.json.a[2].d: it is sent as it stands, letter for letter: write ${...} for a value, such as ${refreshToken}"}},
		"a parameter that may be missing": {"no request could be built", `"${refreshToken}"`, `"${refreshToken}", scope: "a ${parameters.scope}", region: "${parameters.region}", id: "${parameters.id}"`, []string{
			"spec.refresh.request.form.scope:1:15: no call can be made for a credential without parameters.scope: write parameters.?scope to leave it out then"}},
		"a parameter that may be missing, and is asked for": {"nothing fails", `"${refreshToken}"`, `"${refreshToken}", scope: "${has(parameters.scope) ? parameters.scope : 'all'} ${parameters.?scope}"`, nil},
		"a header in capitals": {"it is never there", `when: status == 429`, `when: 'headers["Retry-After"] == "1"'`, []string{
			`spec.refresh.response.failures[1].when: headers are known by their lower-case names: write headers["retry-after"]`}},
		"a comparison with null": {"it fails where the field is missing", `success: status == 200`, `success: body.error == null`, []string{
			`spec.refresh.response.success: it is false where body.error is missing: write !has(body.error) || body.error == null`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := sound
			lines, instead := strings.Split(c.line, "|"), strings.Split(c.instead, "|")
			for i := range lines {
				if !strings.Contains(text, lines[i]) {
					t.Fatalf("there is no %q", lines[i])
				}
				text = strings.Replace(text, lines[i], instead[i], 1)
			}
			var spec v1alpha1.ClusterTokenProviderSpec
			if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
				t.Fatal(err)
			}
			compiled, err := compile.Provider("example", spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, lint.Warnings(compiled, spec)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
