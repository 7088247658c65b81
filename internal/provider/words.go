// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// explain says how the provider answered: with its own words, or where it sends the
// request on to.
func (r *reader) explain(grant token.Grant) string {
	explained := fmt.Sprintf("the provider answered %d", r.status)
	secrets := r.secrets(grant)
	if safe := redact.Message(r.words(), secrets); safe != "" {
		explained += ": " + safe
	}
	if isRedirect(r.status) {
		explained += ", " + redirection(r.header.Get("Location"), secrets)
	}
	return explained
}

// words are the provider's own: what the description says they are, or else what servers
// call them.
func (r *reader) words() string {
	if value, ok := r.value(r.call.response.message); ok {
		if text, _ := expression.TextOf(value); text != "" {
			return text
		}
	}
	return wordsIn(r.variables[bodyVariable], 2)
}

// wordFields are the members in which servers say what is wrong, the clearest first: RFC
// 6749 section 5.2, then what others use, RFC 9457 among them.
var wordFields = []string{"error_description", "error", "message", "error_message", "errorMessage", "errmsg", "msg", "detail", "title"}

// wordsIn are the words in the members of an object, so many levels deep.
func wordsIn(value any, depth int) string {
	object, ok := value.(map[string]any)
	if !ok || depth == 0 {
		return ""
	}
	for _, name := range wordFields {
		switch member := object[name].(type) {
		case string:
			if strings.TrimSpace(member) != "" {
				return member
			}
		case map[string]any:
			if inner := wordsIn(member, depth-1); inner != "" {
				return inner
			}
		}
	}
	return ""
}

// isRedirect reports whether a status sends the request on to another place (RFC 9110
// section 15.4).
func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirection says where a reply sends the request on to: without what may hold a secret,
// such as the query. Nothing is sent there: it would carry the app's secrets along.
func redirection(location string, secrets []string) string {
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

// secrets gives every secret of the exchange.
func (r *reader) secrets(grant token.Grant) []string {
	inputs := r.exchange.inputs
	all := []string{inputs.AppKey.Reveal(), inputs.AppSecret.Reveal(), inputs.RefreshToken.Reveal(), inputs.AccessToken.Reveal(),
		grant.AccessToken.Reveal(), grant.RefreshToken.Reveal(), inputs.ClientKey.Reveal(), inputs.ServiceAccountToken.Reveal(),
		inputs.Authorization.Code.Reveal(), inputs.Authorization.CodeVerifier.Reveal(), inputs.Authorization.DeviceCode.Reveal()}
	for _, value := range inputs.Login {
		all = append(all, value.Reveal())
	}
	for _, value := range inputs.Hidden {
		all = append(all, value.Reveal())
	}
	for _, outputs := range []map[string]any{inputs.Outputs, grant.Outputs} {
		for _, value := range outputs {
			// A short output, such as a scope, is no secret.
			if text, ok := value.(string); ok && len(text) >= 8 {
				all = append(all, text)
			}
		}
	}
	if text, ok := r.text(r.call.response.accessToken); ok {
		all = append(all, text)
	}
	return all
}
