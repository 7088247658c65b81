// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// valuesOf gives every value of a request in clear, so that a token is found wherever a
// description puts it.
func valuesOf(r *http.Request) ([]string, error) {
	var values []string
	add := func(text string) { values = append(values, text, strings.TrimPrefix(text, "Bearer ")) }
	for _, each := range r.Header {
		for _, value := range each {
			add(value)
		}
	}
	if user, password, ok := r.BasicAuth(); ok {
		values = append(values, user, password)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read a request: %w", err)
	}
	return append(values, append(formValues(r.URL.RawQuery), bodyValues(string(body))...)...), nil
}

// formValues are the values of a query or a form.
func formValues(text string) []string {
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil
	}
	var all []string
	for _, values := range form {
		all = append(all, values...)
	}
	return all
}

// bodyValues are the texts of a JSON document, else those of a form.
func bodyValues(text string) []string {
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return formValues(text)
	}
	return texts(document)
}

func texts(value any) []string {
	var all []string
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, element := range value {
			all = append(all, texts(element)...)
		}
	case map[string]any:
		for _, member := range value {
			all = append(all, texts(member)...)
		}
	}
	return all
}
