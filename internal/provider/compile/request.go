// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/request"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// headerName is a token of RFC 9110 section 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// transportHeaders are decided by the connection, not by a description.
var transportHeaders = []string{"connection", "content-length", "host", "keep-alive", "proxy-authorization",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// requestCompiler compiles requests in one scope.
type requestCompiler struct {
	*problems
	environment *expression.Environment
	bounded     []string // the parameters that have a pattern
}

// request compiles a request and checks what the CRD may not have checked.
func (c *requestCompiler) request(field string, spec v1alpha1.ProviderRequest) request.Request {
	r := request.Request{Method: spec.Method}
	if r.Method == "" {
		r.Method = "POST"
	}
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH"}, r.Method) {
		c.add(field+".method", "write GET, POST, PUT or PATCH")
	}
	if spec.Form != nil && spec.JSON != nil {
		c.add(field, "a request has one body: write form or json, not both")
	}
	if r.Method == "GET" && (spec.Form != nil || spec.JSON != nil) {
		c.add(field, "a GET request has no body: use query, or another method")
	}
	r.URL = c.template(field+".url", spec.URL)
	c.checkURL(field+".url", spec.URL, r.URL)
	r.HostFromReply = r.URL != nil && slices.ContainsFunc(beforePath(r.URL.Parts()), func(part *expression.Expression) bool { return part.Uses(variable.Outputs) })
	r.Query = c.pairs(field+".query", spec.Query)
	if spec.Form != nil {
		r.Form = append([]request.Pair{}, c.pairs(field+".form", spec.Form)...)
	}
	if spec.JSON != nil {
		r.JSON = c.json(field+".json", spec.JSON.Raw)
	}
	r.Headers = c.pairs(field+".headers", spec.Headers)
	written := map[string]string{}
	for _, header := range r.Headers {
		folded := strings.ToLower(header.Name)
		switch {
		case !headerName.MatchString(header.Name):
			c.add(field+".headers", "%q is not the name of a header", header.Name)
		case slices.Contains(transportHeaders, folded):
			c.add(field+".headers", "%s cannot be set: it belongs to the connection", header.Name)
		case written[folded] != "":
			c.add(field+".headers", "%s and %s are the same header: write it once", written[folded], header.Name)
		}
		written[folded] = header.Name
	}
	if spec.BasicAuth != nil {
		r.Username = c.template(field+".basicAuth.username", spec.BasicAuth.Username)
		r.Password = c.template(field+".basicAuth.password", spec.BasicAuth.Password)
		r.FormEncoded = spec.BasicAuth.FormEncoded
	}
	return r
}

func (c *requestCompiler) template(field, text string) *expression.Template {
	template, err := c.environment.Template(field, text)
	c.failed(err)
	return template
}

func (c *requestCompiler) pairs(field string, spec map[string]string) []request.Pair {
	var pairs []request.Pair
	for _, name := range slices.Sorted(maps.Keys(spec)) {
		pairs = append(pairs, request.Pair{Name: name, Value: c.template(field+"."+name, spec[name])})
	}
	return pairs
}

// json compiles a JSON document whose strings are templates.
func (c *requestCompiler) json(field string, raw []byte) request.Node {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		c.add(field, "it is not JSON")
		return nil
	}
	if _, isObject := value.(map[string]any); !isObject {
		c.add(field, "write an object")
	}
	return c.node(field, value)
}

func (c *requestCompiler) node(field string, value any) request.Node {
	switch value := value.(type) {
	case map[string]any:
		object := make(request.Object, len(value))
		for _, name := range slices.Sorted(maps.Keys(value)) {
			object[name] = c.node(field+"."+name, value[name])
		}
		return object
	case []any:
		list := make(request.List, 0, len(value))
		for i, element := range value {
			list = append(list, c.node(fmt.Sprintf("%s[%d]", field, i), element))
		}
		return list
	case string:
		if template := c.template(field, value); template != nil {
			return request.Text{Template: template}
		}
	}
	return request.Literal{Value: value}
}
