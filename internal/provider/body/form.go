// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package body

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// formName is a name that a form's field may have: a body that looks like a form
// has only such names.
var formName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]*$`)

// maxPairs is how many pairs a form may have, as JSON may hold values.
const maxPairs = jsontext.MaxValues

var errTooManyPairs = fmt.Errorf("it holds more than %d pairs", maxPairs)

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
func decodeForm(body []byte) Content {
	text := string(body)
	if strings.Count(text, "&") >= maxPairs {
		return Content{Value: text, Kind: Form, Err: errTooManyPairs}
	}
	return Content{Value: pairsOf(text, nil), Kind: Form}
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
