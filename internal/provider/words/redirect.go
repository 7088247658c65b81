// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

// IsRedirect reports whether a status sends the request on to another place (RFC 9110
// section 15.4).
func IsRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// Redirection says where a reply sends the request on to: without what may hold a secret,
// such as the query. Nothing is sent there: it would carry the app's secrets along.
func Redirection(location string, secrets []string) string {
	target, err := url.Parse(strings.TrimSpace(location))
	if err != nil || target.Host == "" && target.Path == "" {
		return "which sends the request on and does not say where to: a login page or a proxy may have answered, so check the URL"
	}
	var text strings.Builder
	if target.Host != "" {
		if target.Scheme != "" {
			text.WriteString(shownPart(target.Scheme, secrets) + ":")
		}
		text.WriteString("//" + shownParts(target.Host, ".", secrets))
	}
	text.WriteString(shownParts(target.EscapedPath(), "/", secrets))
	return "which sends the request on to " + text.String() + ", and redirects are not followed: if that is the provider's own, write its URL"
}

// longestTarget is how much is shown of where a redirect goes, in bytes.
const longestTarget = 200

func shownParts(text, separator string, secrets []string) string {
	if len(text) > longestTarget {
		text = text[:longestTarget]
	}
	parts := strings.Split(text, separator)
	for i, part := range parts {
		parts[i] = shownPart(part, secrets)
	}
	return strings.Join(parts, separator)
}

// shownPart is a part of a URL as it may be shown.
func shownPart(part string, secrets []string) string {
	plain, err := url.PathUnescape(part)
	if err != nil {
		plain = part
	}
	if part == "" || redact.Message(plain, secrets) == plain && redact.Message(part, secrets) == part {
		return part
	}
	return "[redacted]"
}
