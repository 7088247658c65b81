// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package encoding

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// keyUnfinished is where an unfinished token stands in a state Secret.
const keyUnfinished = "unfinished"

// Keys within the stored value.
const (
	unfinishedOutputs = "outputs"
	unfinishedOrigin  = "origin"
	originDiscovered  = "discovered"
	originRevoke      = "revoke"
	originRefresh     = "refresh"
	originLogin       = "login"
)

func encodeUnfinished(data map[string][]byte, u *rotation.Unfinished) error {
	if u == nil {
		delete(data, keyUnfinished)
		return nil
	}
	return EncodeJSON(data, keyUnfinished, map[string]any{
		keyAccessToken:    u.AccessToken.Reveal(),
		keyTokenType:      u.Type,
		keyIssuedAt:       encodeTime(u.IssuedAt),
		keyExpiresAt:      encodeTime(u.ExpiresAt),
		unfinishedOutputs: u.Outputs,
		unfinishedOrigin: map[string]any{
			originRefresh: u.Origin.Refresh, originLogin: u.Origin.Login,
			originRevoke: u.Origin.Revoke, originDiscovered: u.Origin.Discovered,
		},
	}, false, jsontext.Encode)
}

// unfinished is read as a reply is, so that a value of its outputs is the same to an
// expression before and after it was kept.
func (d *decoder) unfinished() *rotation.Unfinished {
	value := d.data[keyUnfinished]
	if len(value) == 0 {
		return nil
	}
	decoded, _, err := jsontext.Decode(value)
	fields, ok := decoded.(map[string]any)
	if err != nil || !ok {
		d.fail(keyUnfinished)
		return nil
	}
	origin, _ := fields[unfinishedOrigin].(map[string]any)
	outputs, _ := fields[unfinishedOutputs].(map[string]any)
	u := &rotation.Unfinished{Token: token.Token{
		AccessToken: secret.New(textIn(fields, keyAccessToken)),
		Type:        textIn(fields, keyTokenType),
		Outputs:     outputs,
		Validity:    token.Validity{IssuedAt: timeIn(fields, keyIssuedAt), ExpiresAt: timeIn(fields, keyExpiresAt)},
	}, Origin: rotation.Origin{
		Refresh: textIn(origin, originRefresh), Login: textIn(origin, originLogin),
		Revoke: textIn(origin, originRevoke), Discovered: textIn(origin, originDiscovered),
	}}
	if u.AccessToken.IsZero() {
		d.fail(keyUnfinished)
		return nil
	}
	return u
}

func textIn(fields map[string]any, key string) string {
	text, _ := fields[key].(string)
	return text
}

// timeIn is a moment; what cannot be read has passed, so that another token is asked for.
func timeIn(fields map[string]any, key string) time.Time {
	moment, _ := time.Parse(time.RFC3339Nano, textIn(fields, key))
	if year := moment.UTC().Year(); year < 0 || year > 9999 {
		return time.Time{}
	}
	return moment
}
