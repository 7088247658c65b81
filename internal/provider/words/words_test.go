// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package words_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/words"
)

func TestAProvidersWordsAreFoundWhereServersPutThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body any
		want string
	}{
		"the description of RFC 6749":   {map[string]any{"error": "invalid_grant", "error_description": "it was used"}, "it was used"},
		"the code, without one":         {map[string]any{"error": "invalid_grant", "error_description": " "}, "invalid_grant"},
		"an object in the error":        {map[string]any{"error": map[string]any{"message": "no"}}, "no"},
		"too deep":                      {map[string]any{"error": map[string]any{"error": map[string]any{"message": "no"}}}, ""},
		"a text is not the body's word": {"no", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := words.In(c.body); got != c.want {
				t.Errorf("the words are %q, not %q", got, c.want)
			}
		})
	}
}

func TestWhereARedirectGoesIsShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	const (
		on      = "which sends the request on to "
		trusted = ", and redirects are not followed: if that is the provider's own, write its URL"
	)
	for location, want := range map[string]string{
		"https://x.example/login?token=s3cr3t-token": on + "https://x.example/login" + trusted,
		"https://x.example/s3cr3t-token/login":       on + "https://x.example/[redacted]/login" + trusted,
		"/login":                                     on + "/login" + trusted,
		"":                                           "which sends the request on and does not say where to: a login page or a proxy may have answered, so check the URL",
	} {
		if got := words.Redirection(location, []string{"s3cr3t-token"}); got != want {
			t.Errorf("%q is shown as %q, not as %q", location, got, want)
		}
	}
}
