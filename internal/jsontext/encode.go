// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
)

var errNotEncodable = errors.New("a value cannot be written as JSON")

// Encode writes a value as an expression gives it: members sorted, no HTML escaping,
// strings byte for byte, bytes as base64, a timestamp in RFC 3339, a duration in
// seconds as in "3.5s". json.Number and json.RawMessage are written as they are.
func Encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(encodable(value)); err != nil {
		return nil, errNotEncodable
	}
	return restoreInvalid(bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))), nil
}

func encodable(value any) any {
	switch value := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(value))
		for key, member := range value {
			result[string(escapeInvalid([]byte(key)))] = encodable(member)
		}
		return result
	case []any:
		result := make([]any, len(value))
		for i := range value {
			result[i] = encodable(value[i])
		}
		return result
	case string:
		return string(escapeInvalid([]byte(value)))
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < 1e21 {
			return json.Number(strconv.FormatFloat(value, 'f', -1, 64))
		}
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano)
	case time.Duration:
		return strconv.FormatFloat(value.Seconds(), 'f', -1, 64) + "s"
	}
	return value
}
