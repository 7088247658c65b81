// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// shown are the parameters whose values are no secret.
var shown = []string{"grant_type", "token_type", "redirect_uri", "scope", "audience", "client_id", "username", "email"}

// shortened are the parameters that are shown shortened; all others are hidden.
var shortened = []string{"refresh_token", "token"}

// String is a line for a person, such as
//
//	xiaomi refresh GET account.xiaomi.com/oauth2/token?...&refresh_token=demo…(25) 200 grant=demo-xiaomi
//
// Tokens are shortened, and passwords and app secrets hidden.
func (e Entry) String() string {
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s %s%s", cmp.Or(e.Vendor, "-"), e.Endpoint, e.Method, e.Host, e.Path)
	if e.Query != "" {
		line.WriteString("?" + describe(e.query))
	}
	if token := e.bearer(); token != "" && e.Endpoint == Refresh {
		line.WriteString(" bearer=" + shorten(token))
	}
	if len(e.form) > 0 {
		line.WriteString(" " + describe(e.form))
	}
	for _, name := range shortened {
		if token, ok := e.object[name].(string); ok {
			line.WriteString(" " + name + "=" + shorten(token))
		}
	}
	if e.Status == 0 {
		line.WriteString(" -> no answer")
	} else {
		fmt.Fprintf(&line, " -> %d", e.Status)
	}
	if e.Grant != "" {
		line.WriteString(" grant=" + e.Grant)
	}
	if e.Refusal != "" {
		fmt.Fprintf(&line, " refused=%q", e.Refusal)
	}
	if e.Faulty {
		fmt.Fprintf(&line, " fault acted=%t", e.Acted)
	}
	return line.String()
}

// describe writes parameters in the order of their names, for people.
func describe(values url.Values) string {
	parts := make([]string, 0, len(values))
	for name := range values {
		value := "…"
		switch {
		case slices.Contains(shown, name):
			value = url.QueryEscape(values.Get(name))
		case slices.Contains(shortened, name):
			value = shorten(values.Get(name))
		}
		parts = append(parts, url.QueryEscape(name)+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// shorten shows at most a third of a token, and no more than four characters.
func shorten(token string) string {
	return fmt.Sprintf("%.*s…(%d)", min(len(token)/3, 4), strings.ToValidUTF8(token, "?"), len(token))
}
