// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reply is an answer before it is sent.
type Reply struct {
	// Status defaults to 200.
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	// Body is sent byte for byte.
	Body string `json:"body,omitempty"`
}

// answer is a reply with what the log says about it.
type answer struct {
	Reply
	refusal refusal
	grant   string // that was refreshed or begun
}

// member is one member of a JSON object that keeps the order of its members.
type member struct {
	name  string
	value any
}

type object []member

func (o object) encode() string {
	var text strings.Builder
	text.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(encode(m.name))
		text.WriteByte(':')
		text.WriteString(encode(m.value))
	}
	text.WriteByte('}')
	return text.String()
}

// encode writes JSON compactly, and <, > and & as they are.
func encode(value any) string {
	switch value := value.(type) {
	case raw:
		return string(value)
	case object:
		return value.encode()
	case string:
		if !utf8.ValidString(value) {
			return quoteBytes(value)
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "null"
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}

// quoteBytes writes a string that is no UTF-8 byte for byte, where the encoder
// would replace what it does not know. The result is no proper JSON either.
func quoteBytes(value string) string {
	var text strings.Builder
	text.WriteByte('"')
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' {
			fmt.Fprintf(&text, `\u%04x`, c)
		} else {
			text.WriteByte(c)
		}
	}
	text.WriteByte('"')
	return text.String()
}

// raw is a JSON value that is sent as it is, valid or not.
type raw string

// withExpiry appends expires_in in the wanted form.
func (o object) withExpiry(form ExpiresIn, lifetime Duration) object {
	switch seconds := lifetime.seconds(); form {
	case ExpiresInMissing:
		return o
	case ExpiresInNumber:
		return append(o, member{"expires_in", seconds})
	case ExpiresInText:
		return append(o, member{"expires_in", strconv.FormatInt(seconds, 10)})
	default:
		return append(o, member{"expires_in", raw(form)})
	}
}

func jsonReply(status int, contentType, body string) Reply {
	return Reply{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body}
}
