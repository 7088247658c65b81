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

	"golang.org/x/text/encoding/unicode"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// byteOrderMark may stand before a body in UTF-8.
var byteOrderMark = []byte("\ufeff")

// jsonp is a JSON value in a call, as in callback( {...} );
var jsonp = regexp.MustCompile(`(?s)^(?:/\*\*/\s*)?[A-Za-z_$][\w$.]*\s*\(\s*([{\[].*[}\]]|"[^"]*")\s*\)\s*;?$`)

// formName is a name that a form's field may have: a body that looks like a form
// has only such names.
var formName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]*$`)

// maxPairs is how many pairs a form may have, as JSON may hold values.
const maxPairs = jsontext.MaxValues

var errTooManyPairs = fmt.Errorf("it holds more than %d pairs", maxPairs)

// decoded is a body, or a part of one, as expressions see it.
type decoded struct {
	value any
	kind  kind
	ends  bool   // it shows its own end
	rest  []byte // what follows it
	err   error  // it holds too much; the value is its text then
}

// kind of a body.
type kind int

const (
	isText kind = iota
	isForm
	isJSON // an object or a list, which has an end of its own
)

// decode gives the value of a reply's body: what JSON holds, a form as a map of
// strings, anything else as a string. The Content-Type is not asked: too many
// servers get it wrong.
func decode(body []byte, format v1alpha1.ResponseFormat) decoded {
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
			if err == nil && (read.kind == isJSON || len(read.rest) == 0) {
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
	return decoded{value: string(body), err: failed}
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

// stripped is a body without its prefix, and without what stands around it.
func stripped(body []byte, prefix string) []byte {
	body = trim(fromUTF16(body))
	if prefix == "" {
		return body
	}
	return trim(bytes.TrimPrefix(body, []byte(prefix)))
}

func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
}

// fromUTF16 turns a body in UTF-16 into UTF-8. Its byte order mark tells, or else the zeros
// in one half of its first characters: what holds tokens begins with some of ASCII (RFC
// 4627 section 3).
func fromUTF16(body []byte) []byte {
	if len(body) < 4 || len(body)%2 != 0 {
		return body
	}
	order, mark := unicode.BigEndian, unicode.ExpectBOM
	switch {
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), bytes.HasPrefix(body, []byte{0xfe, 0xff}):
	case body[0] == 0 && body[1] != 0 && body[2] == 0 && body[3] != 0:
		mark = unicode.IgnoreBOM
	case body[0] != 0 && body[1] == 0 && body[2] != 0 && body[3] == 0:
		order, mark = unicode.LittleEndian, unicode.IgnoreBOM
	default:
		return body
	}
	plain, err := unicode.UTF16(order, mark).NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return plain
}

// decodeJSON reads the JSON value at the start of a body. What follows it is
// left alone: a token must not be lost over a proxy's footer.
func decodeJSON(body []byte) (decoded, error) {
	value, rest, err := jsontext.Decode(body)
	if err != nil {
		return decoded{}, err
	}
	read := decoded{value: trimKeys(value), rest: bytes.TrimSpace(rest)}
	switch value.(type) {
	case map[string]any, []any:
		read.kind, read.ends = isJSON, true
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
func decodeForm(body []byte) decoded {
	text := string(body)
	if strings.Count(text, "&") >= maxPairs {
		return decoded{value: text, kind: isForm, err: errTooManyPairs}
	}
	return decoded{value: pairsOf(text, nil), kind: isForm}
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
