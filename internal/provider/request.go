// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

// Request builds what is to be sent. Its error says what the description or the
// inputs lack, and holds no secret.
//
// The request has no GetBody, so that net/http cannot send its body a second
// time by itself.
func (e *Exchange) Request(ctx context.Context) (*http.Request, error) {
	spec := &e.call.request
	target, err := e.target()
	if err != nil {
		return nil, err
	}
	body, contentType, err := e.body()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, spec.method, "https://placeholder.invalid", nil)
	if err != nil {
		return nil, fmt.Errorf("%s is not a method", spec.method)
	}
	request.URL, request.Host = target, target.Host
	if contentType != "" {
		request.Body = http.NoBody
		if len(body) > 0 {
			request.Body = io.NopCloser(bytes.NewReader(body))
		}
		request.ContentLength = int64(len(body))
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", version.UserAgent())
	if err := e.authenticate(request.Header); err != nil {
		return nil, err
	}
	return request, e.headers(request.Header)
}

// HostFromReply reports whether the last reply has a say in which host is called (its
// outputs decide it). Else the parameters alone do: the compiler allows nothing more.
func (c *Call) HostFromReply() bool { return c.request.hostFromReply }

// URL is the address of the request, without what its query adds. url.Parse's errors quote
// the URL, which may hold a secret, so they go no further.
func (e *Exchange) URL() (*url.URL, error) {
	text, present, err := e.call.request.url.Text(e.variables())
	if err != nil {
		return nil, err
	}
	target, parseErr := url.Parse(text)
	switch {
	case !present || parseErr != nil || strings.ContainsFunc(text, isControl):
		return nil, fmt.Errorf("the provider's url does not give a URL for these inputs")
	case target.Scheme != "https" && target.Scheme != "http", target.Hostname() == "", target.Opaque != "":
		return nil, fmt.Errorf("the provider's url must give an absolute URL that begins with https://")
	case target.User != nil:
		return nil, fmt.Errorf("the provider's url must not give a URL with a user name in it")
	}
	target.Fragment, target.RawFragment = "", ""
	target.RawQuery = strings.ReplaceAll(target.RawQuery, " ", "%20") // url.Parse lets it stand
	return target, nil
}

// target builds the URL with its query.
func (e *Exchange) target() (*url.URL, error) {
	target, err := e.URL()
	if err != nil {
		return nil, err
	}
	query, err := e.values(e.call.request.query)
	if err != nil {
		return nil, err
	}
	// A space as %20 is right for every reader of a query; + only for those that
	// take it for a form.
	if encoded := strings.ReplaceAll(query.Encode(), "+", "%20"); encoded != "" {
		target.RawQuery = strings.TrimPrefix(target.RawQuery+"&"+encoded, "&")
	}
	return target, nil
}

// values evaluates a query or a form; empty optionals are left out, and a list repeats
// its key.
func (e *Exchange) values(pairs []pair) (url.Values, error) {
	values := url.Values{}
	for _, pair := range pairs {
		texts, err := pair.value.Texts(e.variables())
		if err != nil {
			return nil, err
		}
		if len(texts) > 0 {
			values[pair.name] = texts
		}
	}
	return values, nil
}

// body builds the body; contentType is empty where there is none.
func (e *Exchange) body() (body []byte, contentType string, err error) {
	switch spec := &e.call.request; {
	case spec.json != nil:
		body, err = e.jsonBody(spec.json)
		return body, "application/json", err
	case spec.form != nil:
		values, err := e.values(spec.form)
		return []byte(values.Encode()), "application/x-www-form-urlencoded", err
	}
	return nil, "", nil
}

// authenticate sets the Authorization header (RFC 7617), unless the username is
// an empty optional.
func (e *Exchange) authenticate(header http.Header) error {
	spec := &e.call.request
	if spec.username == nil {
		return nil
	}
	username, present, err := spec.username.Text(e.variables())
	if err != nil || !present {
		return err
	}
	password, _, err := spec.password.Text(e.variables())
	if err != nil {
		return err
	}
	if spec.formEncoded {
		username, password = url.QueryEscape(username), url.QueryEscape(password)
	}
	header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
	return nil
}

// headers sets the description's headers over the defaults. A name is sent as it is
// written, since there are servers that take case for meaning, against RFC 9110 section
// 5.1: net/http leaves a map's keys alone.
func (e *Exchange) headers(header http.Header) error {
	for _, pair := range e.call.request.headers {
		text, present, err := pair.value.Text(e.variables())
		if err != nil {
			return err
		}
		if !present {
			continue
		}
		if strings.ContainsFunc(text, isControl) {
			return fmt.Errorf("the value of the header %s holds a line feed or another control character", pair.name)
		}
		header.Del(pair.name)
		if isUserAgent := http.CanonicalHeaderKey(pair.name) == "User-Agent"; isUserAgent {
			header["User-Agent"] = []string{""} // net/http would add its own
		}
		header[pair.name] = []string{text}
	}
	return nil
}

// isControl tells the characters that must not stand in a header or a URL.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
