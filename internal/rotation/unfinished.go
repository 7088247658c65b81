// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Unfinished is a token that calls have yet to make the published one of (the provider's
// finish). It is saved with the refresh token that came beside it, so that those calls
// can be made again, by another process too, and nothing is refreshed for them. Until they
// are through, the token before it stays the published one.
type Unfinished struct {
	token.Token
	// Origin is what it is bound to.
	Origin Origin
}

// Is reports whether both are of one reply; nil is none.
func (u *Unfinished) Is(other *Unfinished) bool {
	if u == nil || other == nil {
		return u == other
	}
	return u.AccessToken.Equal(other.AccessToken) && u.Equal(other.Validity)
}

// Finish takes in the token that calls have made of the unfinished one.
func (s State) Finish(made token.Token) State {
	if s.Unfinished != nil {
		s.Token, s.TokenOrigin, s.Unfinished = made, s.Unfinished.Origin, nil
	}
	return s
}

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

func (u *Unfinished) encode(data map[string][]byte) error {
	if u == nil {
		delete(data, keyUnfinished)
		return nil
	}
	return encodeJSON(data, keyUnfinished, map[string]any{
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
func (d *decoder) unfinished() *Unfinished {
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
	u := &Unfinished{Token: token.Token{
		AccessToken: secret.New(textIn(fields, keyAccessToken)),
		Type:        textIn(fields, keyTokenType),
		Outputs:     outputs,
		Validity:    token.Validity{IssuedAt: timeIn(fields, keyIssuedAt), ExpiresAt: timeIn(fields, keyExpiresAt)},
	}, Origin: Origin{
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
