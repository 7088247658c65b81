// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// byteOrderMark may stand before a body in UTF-8.
var byteOrderMark = []byte("\ufeff")

// jsonp is a JSON value in a call, as in callback( {...} );
var jsonp = regexp.MustCompile(`(?s)^[A-Za-z_$][\w$.]*\s*\(\s*([{\[].*[}\]])\s*\)\s*;?$`)

// formName is a name that a form's field may have: a body that looks like a form
// has only such names.
var formName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]*$`)

// decode gives the value of a reply's body: what JSON holds, a form as a map of
// strings, anything else as a string. The Content-Type is not asked: too many
// servers get it wrong.
func decode(body []byte, prefix string, format v1alpha1.ResponseFormat) any {
	body = trim(body)
	if prefix != "" {
		body = trim(bytes.TrimPrefix(body, []byte(prefix)))
	}
	switch format {
	case v1alpha1.FormatJSON:
		if value, ok := decodeJSON(body); ok {
			return value
		}
	case v1alpha1.FormatForm:
		return decodeForm(body)
	default:
		if match := jsonp.FindSubmatch(body); match != nil {
			body = match[1]
		}
		if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
			if value, ok := decodeJSON(body); ok {
				return value
			}
		}
		if looksLikeForm(body) {
			return decodeForm(body)
		}
	}
	return string(body)
}

func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
}

// decodeJSON reads the JSON value at the start of a body. What follows it is
// ignored: a token must not be lost over a proxy's footer.
func decodeJSON(body []byte) (any, bool) {
	value, _, err := expression.DecodeJSON(body)
	if err != nil {
		return nil, false
	}
	return trimKeys(value), true
}

// trimKeys strips stray white space from the names of members. A name that is
// written without it wins.
func trimKeys(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			member := trimKeys(value[key])
			value[key] = member
			trimmed := strings.TrimSpace(key)
			if trimmed == key {
				continue
			}
			delete(value, key)
			if _, taken := value[trimmed]; !taken {
				value[trimmed] = member
			}
		}
	case []any:
		for i := range value {
			value[i] = trimKeys(value[i])
		}
	}
	return value
}

// looksLikeForm tells a form from other text: pairs with names, no white space,
// no markup. A lone token that ends in base64's padding is none.
func looksLikeForm(body []byte) bool {
	text := string(body)
	if strings.ContainsAny(text, " \t\r\n<>\"{}") {
		return false
	}
	pairs := strings.Split(text, "&")
	for _, pair := range pairs {
		name, value, hasValue := strings.Cut(pair, "=")
		if !hasValue || !formName.MatchString(name) {
			return false
		}
		if len(pairs) == 1 && strings.Trim(value, "=") == "" {
			return false
		}
	}
	return true
}

// decodeForm reads pairs; of a name that comes twice the first counts. What is
// badly escaped is kept as it is.
func decodeForm(body []byte) any {
	values := map[string]any{}
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimSpace(unescape(name))
		if _, taken := values[name]; !taken && name != "" {
			values[name] = unescape(value)
		}
	}
	return values
}

func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}
