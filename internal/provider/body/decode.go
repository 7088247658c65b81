// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package body

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// jsonp is a JSON value in a call, as in callback( {...} );
var jsonp = regexp.MustCompile(`(?s)^(?:/\*\*/\s*)?[A-Za-z_$][\w$.]*\s*\(\s*([{\[].*[}\]]|"[^"]*")\s*\)\s*;?$`)

// decode gives the value of a reply's body: what JSON holds, a form as a map of
// strings, anything else as a string. The Content-Type is not asked: too many
// servers get it wrong.
func decode(body []byte, format v1alpha1.ResponseFormat) Content {
	var failed error
	switch format {
	case v1alpha1.FormatJSON:
		read, err := decodeJSON(body)
		if err == nil {
			return read
		}
		failed = err
	case v1alpha1.FormatForm:
		return decodeForm(body)
	default:
		if match := jsonp.FindSubmatch(body); match != nil {
			body = match[1]
		}
		if looksLikeJSON(body) {
			read, err := decodeJSON(body)
			if err == nil && (read.Kind == JSON || len(read.rest) == 0) {
				return read
			}
			failed = err
		}
		if looksLikeForm(body) {
			return decodeForm(body)
		}
	}
	if !jsontext.IsTooLarge(failed) {
		failed = nil
	}
	return Content{Value: string(body), Err: failed}
}

// looksLikeJSON tells what begins as an object, a list or a string, or is a literal. A
// number is its own text.
func looksLikeJSON(body []byte) bool {
	switch string(body) {
	case "":
		return false
	case "null", "true", "false":
		return true
	}
	return strings.IndexByte("{[\"", body[0]) >= 0
}

// decodeJSON reads the JSON value at the start of a body. What follows it is
// left alone: a token must not be lost over a proxy's footer.
func decodeJSON(body []byte) (Content, error) {
	value, rest, err := jsontext.Decode(body)
	if err != nil {
		return Content{}, err
	}
	read := Content{Value: trimKeys(value), rest: bytes.TrimSpace(rest)}
	switch value.(type) {
	case map[string]any, []any:
		read.Kind, read.Ends = JSON, true
	}
	return read, nil
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
