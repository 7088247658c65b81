// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Reply is what the provider answers.
type Reply struct {
	Status  int
	Headers map[string]string // names in lower case
	Body    any               // an object, or a text for a body that is nothing else
}

// with is the reply with a value at a place. ok is false where something else stands in
// the way.
func (r Reply) with(at place, value any) (changed Reply, ok bool) {
	if at[0] == "headers" {
		text, isText := value.(string)
		name, isName := at[1].(string)
		if !isText || !isName || len(at) != 2 {
			return r, false
		}
		r.Headers = maps.Clone(r.Headers)
		r.Headers[name] = text
		return r, true
	}
	r.Body, ok = with(r.Body, at[1:], value)
	return r, ok
}

// with copies a JSON value but for what stands at the end of some keys.
func with(in any, keys []any, value any) (changed any, ok bool) {
	if len(keys) == 0 {
		return value, true
	}
	switch key := keys[0].(type) {
	case string:
		object, isObject := in.(map[string]any)
		if !isObject && in != nil {
			return in, false
		}
		copied := maps.Clone(object)
		if copied == nil {
			copied = map[string]any{}
		}
		copied[key], ok = with(copied[key], keys[1:], value)
		return copied, ok
	case int:
		list, isList := in.([]any)
		if !isList && in != nil || key != 0 {
			return in, false
		}
		if len(list) == 0 {
			list = []any{nil}
		}
		copied := slices.Clone(list)
		copied[0], ok = with(copied[0], keys[1:], value)
		return copied, ok
	}
	return in, false
}

// encode writes the body as the description says it comes.
func (r Reply) encode(prefix string, format v1alpha1.ResponseFormat) ([]byte, error) {
	if text, isText := r.Body.(string); isText {
		return []byte(prefix + text), nil
	}
	if object, isObject := r.Body.(map[string]any); isObject && format == v1alpha1.FormatForm {
		form := url.Values{}
		for name, value := range object {
			form.Set(name, fmt.Sprint(value))
		}
		return []byte(prefix + form.Encode()), nil
	}
	var body bytes.Buffer
	body.WriteString(prefix)
	if err := json.NewEncoder(&body).Encode(r.Body); err != nil {
		return nil, fmt.Errorf("write the reply: %w", err)
	}
	return body.Bytes(), nil
}

// valueAt is what stands at some keys of a JSON value.
func valueAt(in any, keys []any) (value any, ok bool) {
	for _, key := range keys {
		switch container := in.(type) {
		case map[string]any:
			name, isName := key.(string)
			if in, ok = container[name]; !isName || !ok {
				return nil, false
			}
		case []any:
			index, isIndex := key.(int)
			if !isIndex || index >= len(container) {
				return nil, false
			}
			in = container[index]
		default:
			return nil, false
		}
	}
	return in, true
}
