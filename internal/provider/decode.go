// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// byteOrderMark may stand before a body in UTF-8.
var byteOrderMark = []byte("\ufeff")

// jsonp is a JSON value in a call, as in callback( {...} );
var jsonp = regexp.MustCompile(`(?s)^[A-Za-z_$][\w$.]*\s*\(\s*([{\[].*[}\]])\s*\)\s*;?$`)

// formName is a name that a form's field may have: a body that looks like a form
// has only such names.
var formName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]*$`)

// maxPairs is how many pairs a form may have, as JSON may hold values.
const maxPairs = jsontext.MaxValues

var errTooManyPairs = fmt.Errorf("it holds more than %d pairs", maxPairs)

// decode gives the value of a reply's body: what JSON holds, a form as a map of
// strings, anything else as a string. The Content-Type is not asked: too many
// servers get it wrong. The error says that the body holds too much; the value is
// its text then.
func decode(body []byte, prefix string, format v1alpha1.ResponseFormat) (any, error) {
	body = stripped(body, prefix)
	var err error
	switch format {
	case v1alpha1.FormatJSON:
		var value any
		if value, err = decodeJSON(body); err == nil {
			return value, nil
		}
	case v1alpha1.FormatForm:
		return decodeForm(body)
	default:
		if match := jsonp.FindSubmatch(body); match != nil {
			body = match[1]
		}
		if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
			var value any
			if value, err = decodeJSON(body); err == nil {
				return value, nil
			}
		}
		if looksLikeForm(body) {
			return decodeForm(body)
		}
	}
	if !jsontext.IsTooLarge(err) {
		err = nil
	}
	return string(body), err
}

// stripped is a body without its prefix, and without what stands around it.
func stripped(body []byte, prefix string) []byte {
	body = trim(body)
	if prefix == "" {
		return body
	}
	return trim(bytes.TrimPrefix(body, []byte(prefix)))
}

func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
}

// decodeJSON reads the JSON value at the start of a body. What follows it is
// ignored: a token must not be lost over a proxy's footer.
func decodeJSON(body []byte) (any, error) {
	value, _, err := jsontext.Decode(body)
	if err != nil {
		return nil, err
	}
	return trimKeys(value), nil
}

// trimKeys strips stray white space from the names of members. A name that is
// written without it wins.
func trimKeys(value any) any {
	switch value := value.(type) {
	case map[string]any:
		var spaced []string
		for key, member := range value {
			value[key] = trimKeys(member)
			if strings.TrimSpace(key) != key {
				spaced = append(spaced, key)
			}
		}
		slices.Sort(spaced)
		for _, key := range spaced {
			member := value[key]
			delete(value, key)
			if _, taken := value[strings.TrimSpace(key)]; !taken {
				value[strings.TrimSpace(key)] = member
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
	lone := !strings.Contains(text, "&")
	for pair := range strings.SplitSeq(text, "&") {
		name, value, hasValue := strings.Cut(pair, "=")
		if !hasValue || !formName.MatchString(name) {
			return false
		}
		if lone && strings.Trim(value, "=") == "" {
			return false
		}
	}
	return true
}

// decodeForm reads pairs; of a name that comes twice the first counts. What is
// badly escaped is kept as it is.
func decodeForm(body []byte) (any, error) {
	text := string(body)
	if strings.Count(text, "&") >= maxPairs {
		return text, errTooManyPairs
	}
	return pairsOf(text, nil), nil
}

// pairsOf reads the pairs of a form; with wanted those alone whose names it wants.
func pairsOf(text string, wanted func(name string) bool) map[string]any {
	values := map[string]any{}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimSpace(unescape(name))
		if _, taken := values[name]; taken || name == "" || wanted != nil && !wanted(name) {
			continue
		}
		values[name] = unescape(value)
	}
	return values
}

func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}
