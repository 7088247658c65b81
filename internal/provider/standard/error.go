// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package standard

import (
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// codeOf is the code of the error that a body states, in lower case; "" is none. It stands
// where RFC 6749 section 5.2 has it, or where frameworks put it: in an object or a list of
// objects, or under another name. In a reply that is no refusal by its status, the member
// error alone counts: others count what went well, too.
func codeOf(status int, body any) string {
	object, is := body.(map[string]any)
	if !is {
		return ""
	}
	stated := codeIn(object["error"])
	if status < 400 || stated != "" && stated != unnamed {
		return stated
	}
	for _, name := range []string{"code", "errorCode", "error_code", "Error", "ErrorCode", "err", "errors"} {
		if code := codeIn(object[name]); code != "" && code != unnamed {
			return code
		}
	}
	return stated
}

// unnamed is the code of an error that is stated, and has none.
const unnamed = "error"

// codeIn is the code that a member of an error holds.
func codeIn(value any) string {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range []string{"code", "error", "type", "name", "status", "message"} {
			if code, is := value[name].(string); is && codeIn(code) != "" {
				return codeIn(code)
			}
		}
		if len(value) > 0 {
			return unnamed
		}
	case []any:
		if len(value) > 0 {
			return codeIn(value[0])
		}
	case bool:
		if value {
			return unnamed
		}
	case nil:
	default:
		text, _ := expression.TextOf(value)
		if text = strings.ToLower(strings.TrimSpace(text)); !slices.Contains(noErrors, text) {
			return text
		}
	}
	return ""
}

// noErrors are what some servers send in place of no error.
var noErrors = []string{"", "0", "null", "none", "false", "ok", "success"}

// wordFields are the members in which servers say what is wrong, the clearest first.
var wordFields = []string{"error_description", "error_message", "errorSummary", "errorMessage", "message", "detail", "error", "Error"}

// wordsOf are the words of an error, in lower case: those of the first member that has any,
// an object's own among them. A code is none.
func wordsOf(body any, depth int) string {
	object, is := body.(map[string]any)
	if !is {
		return ""
	}
	for _, name := range wordFields {
		switch member := object[name].(type) {
		case string:
			isCode := strings.EqualFold(name, "error") && !strings.Contains(strings.TrimSpace(member), " ")
			if member != "" && !isCode {
				return strings.ToLower(member)
			}
		case map[string]any:
			if words := wordsOf(member, depth-1); depth > 0 && words != "" {
				return words
			}
		}
	}
	return ""
}
