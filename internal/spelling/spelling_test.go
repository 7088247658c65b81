// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package spelling_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

var providers = []string{
	"amazon-sp-api", "entra", "github-app", "github-app-user", "google", "mcs", "microsoft", "oauth2", "oauth2-client-credentials",
	"oidc", "okta", "oracle-commerce-admin", "oracle-commerce-store", "x", "xero", "xiaomi",
}

func TestNamesThatMayHaveBeenMeant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		want   []string
	}{
		"xiaomy":                     {"a wrong letter", []string{"xiaomi"}},
		"xaiomi":                     {"two letters swapped", []string{"xiaomi"}},
		"Xiaomi":                     {"in upper case", []string{"xiaomi"}},
		"oauth":                      {"a letter is missing", []string{"oauth2"}},
		"oauth_2":                    {"as others separate words", []string{"oauth2"}},
		"okt":                        {"the nearer alone", []string{"okta"}},
		"oauth2-client-credential":   {"the whole, and not the word it begins with", []string{"oauth2-client-credentials"}},
		"github":                     {"the word of a longer name", []string{"github-app", "github-app-user"}},
		"oracle":                     {"as many as are asked for", []string{"oracle-commerce-admin", "oracle-commerce-store"}},
		"google-workspace":           {"a longer name of what is there", []string{"google"}},
		"microsoft-azure-ad":         {"a longer name of what is there", []string{"microsoft"}},
		"commerce":                   {"a word within", []string{"oracle-commerce-admin", "oracle-commerce-store"}},
		"mc":                         {"of two letters one may be missing", []string{"mcs"}},
		"api":                        {"a short word says too little", nil},
		"y":                          {"a letter changed in a name of one leaves nothing of it", nil},
		"salesforce":                 {"nothing like it", nil},
		"":                           {"nothing", nil},
		strings.Repeat("xiaomi", 99): {"no name is that long", nil},
	} {
		if got := spelling.Near(name, providers, 2); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%.40q may mean %q, want %q\nreason: %s", name, got, c.want, c.reason)
		}
	}
}

func TestTheNearestNameIsAMisspeltOneAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ reason, want string }{
		"redirect_uri": {"the same letters", "redirectURI"},
		"scpoe":        {"two letters swapped", "scope"},
		"redirect":     {"a word in common is no slip", ""},
		"tenant":       {"nothing like it", ""},
	} {
		if got := spelling.Nearest(name, []string{"scope", "redirectURI", "tokenURL"}); got != c.want {
			t.Errorf("%q: %q, want %q\nreason: %s", name, got, c.want, c.reason)
		}
	}
}
