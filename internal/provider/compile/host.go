// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// checkURL refuses a URL that can never work, and one whose host is decided by
// what nobody bounds: whoever may create a credential would choose which address
// the operator calls.
func (c *requestCompiler) checkURL(field, text string, template *expression.Template) {
	if template == nil {
		return
	}
	if text == "" {
		c.add(field, "write the URL to call")
		return
	}
	parts := template.Parts()
	first := parts[0]
	switch literal := strings.ToLower(first.Literal); {
	case first.Expression == nil && !strings.HasPrefix(literal, "https://") && !strings.HasPrefix(literal, "http://"):
		c.add(field, "write an absolute URL that begins with https://")
	case len(parts) == 1 && first.Expression == nil:
		if parsed, err := url.Parse(first.Literal); err != nil || parsed.Host == "" {
			c.add(field, "it is not a URL")
		} else if parsed.User != nil {
			c.add(field, "it must not hold a user name: use basicAuth")
		}
	}
	for _, part := range beforePath(parts) {
		for _, used := range part.Variables() {
			c.checkHost(field, part, used)
		}
	}
}

// beforePath gives the expressions that stand before the first '/', '?' or '#'
// that follows the scheme.
func beforePath(parts []expression.Part) []*expression.Expression {
	var found []*expression.Expression
	inScheme := true
	for _, part := range parts {
		if part.Expression != nil {
			found = append(found, part.Expression)
			continue
		}
		literal := part.Literal
		if scheme, after, ok := strings.Cut(literal, "://"); inScheme && ok && !strings.ContainsAny(scheme, `/?#\`) {
			literal, inScheme = after, false
		}
		if strings.ContainsAny(literal, `/?#\`) {
			break
		}
	}
	return found
}

func (c *requestCompiler) checkHost(field string, part *expression.Expression, used string) {
	switch used {
	case variable.Outputs:
	case variable.Parameters:
		names, whole := part.Fields(used)
		if whole {
			c.add(field, "name the parameters that decide the host one by one, as parameters.<name>")
		}
		for _, name := range names {
			if !slices.Contains(c.bounded, name) {
				c.add(field, "parameters.%s decides which host is called: give it a pattern in spec.inputs.parameters", name)
			}
		}
	case expression.UUIDKey:
		c.add(field, "uuid() must not decide which host is called: only parameters with a pattern and outputs may")
	default:
		c.add(field, "%s must not decide which host is called: only parameters with a pattern and outputs may", used)
	}
}
