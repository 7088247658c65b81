// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// readGrant fills in what the reply holds. The refresh token comes first: it is
// what must not be lost, and it is kept byte for byte.
func (r *reader) readGrant(outcome *Outcome) {
	response, grant := &r.call.Response, &outcome.Grant
	if text, ok := r.variables.text(response.RefreshToken); ok && text != "" {
		r.brought = true
		r.takeRefreshToken(text, outcome)
	}
	if text, ok := r.variables.text(response.AccessToken); ok && text != "" {
		r.takeAccessToken(text, outcome)
	}
	grant.Type = "Bearer"
	if text, ok := r.variables.text(response.TokenType); ok && isType(strings.TrimSpace(text)) {
		grant.Type = strings.TrimSpace(text)
	}
	grant.Outputs = r.outputs(r.call.Response.Outputs)
	r.readLifetimes(outcome)
}

// takeAccessToken takes an access token of the reply. White space around it is left out: no
// header has room for it (RFC 6750 section 2.1), and a reader of the Secret would send it.
func (r *reader) takeAccessToken(text string, outcome *Outcome) {
	bare := strings.TrimSpace(text)
	switch {
	case len(bare) > token.MaxSize:
		r.unusable = tooLarge("access token", len(bare))
	case bare == "":
		r.unusable = "an access token that cannot be used: it is white space"
	case !usable(bare):
		r.unusable = "an access token that cannot be used: it has control characters or is not UTF-8"
	default:
		outcome.Grant.AccessToken = secret.New(bare)
		if bare != text {
			outcome.remark("there was white space around the access token, which is left out")
		}
	}
}

// takeRefreshToken keeps a refresh token of the reply, if it is not the one that was
// sent: that says nothing new.
func (r *reader) takeRefreshToken(text string, outcome *Outcome) {
	switch fresh := secret.New(text); {
	case fresh.Equal(r.exchange.inputs.RefreshToken):
	case len(text) > token.MaxSize:
		outcome.UnkeptRefreshToken = len(text)
		outcome.remark("the provider's reply holds " + tooLarge("refresh token", len(text)))
	default:
		outcome.Grant.RefreshToken = fresh
	}
}

// outputs reads all outputs, or none where they are too large together: half of
// them would be taken for all.
func (r *reader) outputs(from map[string]*expression.Expression) map[string]any {
	outputs, size := map[string]any{}, 0
	for _, name := range slices.Sorted(maps.Keys(from)) {
		value, ok := r.variables.of(from[name])
		if !ok {
			continue
		}
		outputs[name] = jsonValue(value)
		encoded, err := jsontext.Size(outputs[name])
		if size += len(name) + encoded; err != nil || size > token.MaxOutputs {
			r.unusable = fmt.Sprintf("outputs of more than %d bytes together, up to the output %s", token.MaxOutputs, name)
			return nil
		}
	}
	return outputs
}

// tooLarge says that a part of a reply is larger than what is kept.
func tooLarge(what string, size int) string {
	return fmt.Sprintf("a larger %s than can be kept: %d bytes, of at most %d", what, size, token.MaxSize)
}

// maxType is the size of the longest token type, in bytes; RFC 6749 section 7.1 and
// its kin have none of a tenth of that.
const maxType = 256

// isType reports whether a text may be a token's type.
func isType(text string) bool { return text != "" && len(text) <= maxType && usable(text) }

// usable tells whether a token can stand in a header and in a Secret that people
// read: valid UTF-8 without control characters.
func usable(token string) bool {
	return utf8.ValidString(token) && !strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// jsonValue turns what JSON cannot hold into text.
func jsonValue(value any) any {
	switch value := value.(type) {
	case time.Time, time.Duration, []byte:
		text, _ := expression.TextOf(value)
		return text
	case uint64:
		if value <= 1<<63-1 {
			return int64(value)
		}
		return strconv.FormatUint(value, 10)
	case map[string]any:
		for name := range value {
			value[name] = jsonValue(value[name])
		}
	case []any:
		for i := range value {
			value[i] = jsonValue(value[i])
		}
	}
	return value
}
