// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package words finds what a provider says of a refusal, and where it sends a request on
// to. Where a redirect goes comes fit to be shown; the words do not: whoever shows them
// hides the secrets in them first (internal/redact).
package words

import "strings"

// fields are the members in which servers say what is wrong, the clearest first: RFC
// 6749 section 5.2, then what others use, RFC 9457 among them.
var fields = []string{"error_description", "error", "message", "error_message", "errorMessage", "errmsg", "msg", "detail", "title"}

// In are the words in the members of a body, or of an object in it; empty: it has none.
func In(body any) string { return within(body, 2) }

// within are the words in the members of an object, so many levels deep.
func within(value any, depth int) string {
	object, ok := value.(map[string]any)
	if !ok || depth == 0 {
		return ""
	}
	for _, name := range fields {
		switch member := object[name].(type) {
		case string:
			if strings.TrimSpace(member) != "" {
				return member
			}
		case map[string]any:
			if inner := within(member, depth-1); inner != "" {
				return inner
			}
		}
	}
	return ""
}
