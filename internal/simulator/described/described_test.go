// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// odd is a description with what no standard server does.
var odd = v1alpha1.ProviderResponse{
	Success:      `status == 200 && int(body.result.code) == 7 && body.ok == true`,
	AccessToken:  `body.?data.?token.or(body.?token)`,
	RefreshToken: `headers["x-refresh"]`,
	ExpiresAt:    `body.data.ends`,
	Outputs:      map[string]v1alpha1.Expression{"region": `body.data.regions[0].name`},
	Failures: []v1alpha1.FailureRule{
		{When: `status == 418`, Reason: v1alpha1.RateLimitedReason},
		{When: `body.errors.exists(e, e.kind == "Grant")`, Reason: v1alpha1.ReauthorizationRequiredReason},
		{When: `status >= 400 && string(body.why).lowerAscii().matches("(bad|wrong) client (id|key)")`, Reason: v1alpha1.AppRejectedReason},
		{When: `status == 503 && "retry-after" in headers`, Reason: v1alpha1.ProviderUnavailableReason},
		{When: `status == 418 && body.ok == true`, Reason: v1alpha1.RequestRejectedReason},
	},
	Message: `body.?hint`,
}

func compiled(t *testing.T, response v1alpha1.ProviderResponse) *call {
	t.Helper()
	language, err := newLanguage()
	if err != nil {
		t.Fatal(err)
	}
	call, err := language.call(v1alpha1.ProviderCall{Response: response}, &known{outputs: map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func TestAGoodReplyFollowsFromTheDescription(t *testing.T) {
	t.Parallel()
	reply, err := compiled(t, odd).grant("a1", "r1", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"data":{"ends":"1970-01-01T00:47:00Z","regions":[{"name":"https://the-output.example/region"}],"token":"a1"},"ok":true,"result":{"code":7}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"x-refresh": "r1"}, reply.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestARefusalFollowsFromTheFirstRuleThatCanMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		reason string
		want   Reply
		why    string
	}{
		{v1alpha1.RateLimitedReason, Reply{Status: 418, Body: map[string]any{"hint": "words"}}, "the rule names a status"},
		{
			v1alpha1.ReauthorizationRequiredReason,
			Reply{Status: 400, Body: map[string]any{"errors": []any{map[string]any{"kind": "Grant"}}, "hint": "words"}},
			"a macro runs over the elements of a list",
		},
		{v1alpha1.AppRejectedReason, Reply{Status: 400, Body: map[string]any{"why": "bad client id", "hint": "words"}}, "a regular expression has an example"},
		{
			v1alpha1.ProviderUnavailableReason,
			Reply{Status: 503, Headers: map[string]string{"retry-after": "words"}, Body: map[string]any{"hint": "words"}},
			"a header that has to be there",
		},
	} {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			got, ok := compiled(t, odd).refuse(test.reason, "words")
			if !ok {
				t.Fatalf("no reply was found: %s", test.why)
			}
			if _, named := got.Headers["retry-after"]; named {
				got.Headers["retry-after"] = "words" // any will do
			}
			if len(got.Headers) == 0 {
				got.Headers = nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.why, diff)
			}
		})
	}
	if _, ok := compiled(t, odd).refuse(v1alpha1.RequestRejectedReason, ""); ok {
		t.Error("a rule that another one always comes before has a reply")
	}
}

func TestAnExampleMatchesItsPattern(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		`^acme$`, `(?i)refresh[ _-]?token`, `(a|b)c.*d+`, `x{3}`, `^([a-z0-9]+\.)+example\.com$`, `[0-9]{2,}`, `^(basic|post)$`,
	} {
		if example := exampleOf(pattern); !regexp.MustCompile(pattern).MatchString(example) {
			t.Errorf("%s does not match %q", pattern, example)
		}
	}
}
