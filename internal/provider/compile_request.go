// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// headerName is a token of RFC 9110 section 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// transportHeaders are decided by the connection, not by a description.
var transportHeaders = []string{"connection", "content-length", "host", "keep-alive", "proxy-authorization",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// request compiles a request and checks what the CRD may not have checked.
func (c *compiler) request(field string, spec v1alpha1.ProviderRequest) request {
	r := request{method: spec.Method}
	if r.method == "" {
		r.method = "POST"
	}
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH"}, r.method) {
		c.problem(field+".method", "write GET, POST, PUT or PATCH")
	}
	if spec.Form != nil && spec.JSON != nil {
		c.problem(field, "a request has one body: write form or json, not both")
	}
	if r.method == "GET" && (spec.Form != nil || spec.JSON != nil) {
		c.problem(field, "a GET request has no body: use query, or another method")
	}
	r.url = c.template(field+".url", spec.URL)
	c.checkURL(field+".url", spec.URL, r.url)
	r.hostFromReply = r.url != nil && slices.ContainsFunc(beforePath(r.url.Parts()), func(part *expression.Expression) bool { return part.Uses(outputsVariable) })
	r.query = c.pairs(field+".query", spec.Query)
	if spec.Form != nil {
		r.form = append([]pair{}, c.pairs(field+".form", spec.Form)...)
	}
	if spec.JSON != nil {
		r.json = c.json(field+".json", spec.JSON.Raw)
	}
	r.headers = c.pairs(field+".headers", spec.Headers)
	written := map[string]string{}
	for _, header := range r.headers {
		folded := strings.ToLower(header.name)
		switch {
		case !headerName.MatchString(header.name):
			c.problem(field+".headers", "%q is not the name of a header", header.name)
		case slices.Contains(transportHeaders, folded):
			c.problem(field+".headers", "%s cannot be set: it belongs to the connection", header.name)
		case written[folded] != "":
			c.problem(field+".headers", "%s and %s are the same header: write it once", written[folded], header.name)
		}
		written[folded] = header.name
	}
	if spec.BasicAuth != nil {
		r.username = c.template(field+".basicAuth.username", spec.BasicAuth.Username)
		r.password = c.template(field+".basicAuth.password", spec.BasicAuth.Password)
		r.formEncoded = spec.BasicAuth.FormEncoded
	}
	return r
}

func (c *compiler) template(field, text string) *expression.Template {
	template, err := c.requests.Template(field, text)
	c.failed(err)
	return template
}

func (c *compiler) pairs(field string, spec map[string]string) []pair {
	var pairs []pair
	for _, name := range slices.Sorted(maps.Keys(spec)) {
		pairs = append(pairs, pair{name: name, value: c.template(field+"."+name, spec[name])})
	}
	return pairs
}

// json compiles a JSON document whose strings are templates.
func (c *compiler) json(field string, raw []byte) node {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		c.problem(field, "it is not JSON")
		return nil
	}
	if _, isObject := value.(map[string]any); !isObject {
		c.problem(field, "write an object")
	}
	return c.node(field, value)
}

func (c *compiler) node(field string, value any) node {
	switch value := value.(type) {
	case map[string]any:
		object := make(objectNode, len(value))
		for _, name := range slices.Sorted(maps.Keys(value)) {
			object[name] = c.node(field+"."+name, value[name])
		}
		return object
	case []any:
		list := make(listNode, 0, len(value))
		for i, element := range value {
			list = append(list, c.node(fmt.Sprintf("%s[%d]", field, i), element))
		}
		return list
	case string:
		if template := c.template(field, value); template != nil {
			return templateNode{template}
		}
	}
	return literalNode{value}
}

// checkURL refuses a URL that can never work, and one whose host is decided by
// what nobody bounds: whoever may create a credential would choose which address
// the operator calls.
func (c *compiler) checkURL(field, text string, template *expression.Template) {
	if template == nil {
		return
	}
	if text == "" {
		c.problem(field, "write the URL to call")
		return
	}
	parts := template.Parts()
	first := parts[0]
	switch literal := strings.ToLower(first.Literal); {
	case first.Expression == nil && !strings.HasPrefix(literal, "https://") && !strings.HasPrefix(literal, "http://"):
		c.problem(field, "write an absolute URL that begins with https://")
	case len(parts) == 1 && first.Expression == nil:
		if parsed, err := url.Parse(first.Literal); err != nil || parsed.Host == "" {
			c.problem(field, "it is not a URL")
		} else if parsed.User != nil {
			c.problem(field, "it must not hold a user name: use basicAuth")
		}
	}
	for _, part := range beforePath(parts) {
		for _, variable := range part.Variables() {
			c.checkHost(field, part, variable)
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

func (c *compiler) checkHost(field string, part *expression.Expression, variable string) {
	switch variable {
	case outputsVariable:
	case parametersVariable:
		names, whole := part.Fields(variable)
		if whole {
			c.problem(field, "name the parameters that decide the host one by one, as parameters.<name>")
		}
		for _, name := range names {
			if !slices.Contains(c.bounded, name) {
				c.problem(field, "parameters.%s decides which host is called: give it a pattern in spec.inputs.parameters", name)
			}
		}
	case expression.UUIDKey:
		c.problem(field, "uuid() must not decide which host is called: only parameters with a pattern and outputs may")
	default:
		c.problem(field, "%s must not decide which host is called: only parameters with a pattern and outputs may", variable)
	}
}
