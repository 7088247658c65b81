// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package request

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

// Build makes what is to be sent. Its error says what the description or the
// inputs lack, and holds no secret.
//
// The request has no GetBody, so that net/http cannot send its body a second
// time by itself.
func (r *Request) Build(ctx context.Context, variables map[string]any) (*http.Request, error) {
	target, err := r.target(variables)
	if err != nil {
		return nil, err
	}
	body, contentType, err := r.body(variables)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, "https://placeholder.invalid", nil)
	if err != nil {
		return nil, fmt.Errorf("%s is not a method", r.Method)
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
	if err := r.authenticate(request.Header, variables); err != nil {
		return nil, err
	}
	return request, r.headers(request.Header, variables)
}

// Address is the URL of the request, without what its query adds. url.Parse's errors quote
// the URL, which may hold a secret, so they go no further.
func (r *Request) Address(variables map[string]any) (*url.URL, error) {
	text, present, err := r.URL.Text(variables)
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
func (r *Request) target(variables map[string]any) (*url.URL, error) {
	target, err := r.Address(variables)
	if err != nil {
		return nil, err
	}
	query, err := valuesOf(r.Query, variables)
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

// valuesOf evaluates a query or a form; empty optionals are left out, and a list repeats
// its key.
func valuesOf(pairs []Pair, variables map[string]any) (url.Values, error) {
	values := url.Values{}
	for _, pair := range pairs {
		texts, err := pair.Value.Texts(variables)
		if err != nil {
			return nil, err
		}
		if len(texts) > 0 {
			values[pair.Name] = texts
		}
	}
	return values, nil
}

// body builds the body; contentType is empty where there is none.
func (r *Request) body(variables map[string]any) (body []byte, contentType string, err error) {
	switch {
	case r.JSON != nil:
		body, err = encode(r.JSON, variables)
		return body, "application/json", err
	case r.Form != nil:
		values, err := valuesOf(r.Form, variables)
		return []byte(values.Encode()), "application/x-www-form-urlencoded", err
	}
	return nil, "", nil
}

// authenticate sets the Authorization header (RFC 7617), unless the username is
// an empty optional.
func (r *Request) authenticate(header http.Header, variables map[string]any) error {
	if r.Username == nil {
		return nil
	}
	username, present, err := r.Username.Text(variables)
	if err != nil || !present {
		return err
	}
	password, _, err := r.Password.Text(variables)
	if err != nil {
		return err
	}
	if r.FormEncoded {
		username, password = url.QueryEscape(username), url.QueryEscape(password)
	}
	header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
	return nil
}

// headers sets the description's headers over the defaults. A name is sent as it is
// written, since there are servers that take case for meaning, against RFC 9110 section
// 5.1: net/http leaves a map's keys alone.
func (r *Request) headers(header http.Header, variables map[string]any) error {
	for _, pair := range r.Headers {
		text, present, err := pair.Value.Text(variables)
		if err != nil {
			return err
		}
		if !present {
			continue
		}
		if strings.ContainsFunc(text, isControl) {
			return fmt.Errorf("the value of the header %s holds a line feed or another control character", pair.Name)
		}
		header.Del(pair.Name)
		if isUserAgent := http.CanonicalHeaderKey(pair.Name) == "User-Agent"; isUserAgent {
			header["User-Agent"] = []string{""} // net/http would add its own
		}
		header[pair.Name] = []string{text}
	}
	return nil
}

// isControl tells the characters that must not stand in a header or a URL.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
