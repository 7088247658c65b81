// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package encoding writes a state into the data of its Secret, and reads it there again:
// byte for byte, with what other versions and people put beside it left alone.
package encoding

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Keys of a state Secret's data. Tokens are there in clear, byte for byte;
// encryption at rest is the cluster's.
const (
	keyRefreshToken          = "refresh_token"
	keyPreviousRefreshToken  = "previous_refresh_token"
	keyRefreshTokenExpiresAt = "refresh_token_expires_at"
	keyAccessToken           = "access_token"
	keyTokenType             = "token_type"
	keyIssuedAt              = "issued_at"
	keyExpiresAt             = "expires_at"
	keyOutputs               = "outputs"
	keySequence              = "sequence"
	keySpent                 = "spent"
	keySeed                  = "seed"
	keyPreviousSeed          = "previous_seed"
	keySource                = "source"
	keyIdentity              = "identity"
	keyAttempt               = "attempt"
	keyOrigin                = "origin"
	keyRefused               = "refused"
)

// origins are those of the secrets in a state, as they are stored.
type origins struct {
	RefreshToken         rotation.Origin `json:"refreshToken,omitzero"`
	PreviousRefreshToken rotation.Origin `json:"previousRefreshToken,omitzero"`
	Token                rotation.Origin `json:"token,omitzero"`
}

// Encode writes a state into a Secret's data and leaves foreign keys alone.
func Encode(s rotation.State, data map[string][]byte) error {
	text := map[string]string{
		keyRefreshToken:          s.RefreshToken.Reveal(),
		keyPreviousRefreshToken:  s.PreviousRefreshToken.Reveal(),
		keyRefreshTokenExpiresAt: encodeTime(s.RefreshTokenExpiresAt),
		keyAccessToken:           s.Token.AccessToken.Reveal(),
		keyTokenType:             s.Token.Type,
		keyIssuedAt:              encodeTime(s.Token.IssuedAt),
		keyExpiresAt:             encodeTime(s.Token.ExpiresAt),
		keySequence:              strconv.FormatInt(s.Sequence, 10),
		keySpent:                 strings.Join(s.Spent, "\n"),
		keySeed:                  s.Seed,
		keyPreviousSeed:          s.PreviousSeed,
		keySource:                s.Source,
		keyRefused:               s.Refused,
	}
	for key, value := range text {
		if value == "" {
			delete(data, key)
			continue
		}
		data[key] = []byte(value)
	}
	bound := origins{RefreshToken: s.Origin, PreviousRefreshToken: s.PreviousOrigin, Token: s.TokenOrigin}
	return errors.Join(
		encodeUnfinished(data, s.Unfinished),
		EncodeJSON(data, keyOutputs, s.Token.Outputs, len(s.Token.Outputs) == 0, jsontext.Encode),
		EncodeJSON(data, keyIdentity, s.Identity, s.Identity == rotation.Identity{}, json.Marshal),
		EncodeJSON(data, keyAttempt, s.Attempt, s.Attempt == nil, json.Marshal),
		EncodeJSON(data, keyOrigin, bound, bound == origins{}, json.Marshal),
	)
}

// Size of a state as it is stored, in bytes; 0 for one that cannot be stored.
func Size(s rotation.State) int {
	data := map[string][]byte{}
	if Encode(s, data) != nil {
		return 0
	}
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}
	return size
}

func encodeTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// EncodeJSON puts a value under its key, as encode writes it; an empty one leaves no key.
func EncodeJSON(data map[string][]byte, key string, value any, empty bool, encode func(any) ([]byte, error)) error {
	if empty {
		delete(data, key)
		return nil
	}
	encoded, err := encode(value)
	if err != nil {
		return fmt.Errorf("encode %s of the state: %w", key, err)
	}
	data[key] = encoded
	return nil
}

// Decode reads the state from a Secret's data. An error names the key that
// cannot be read, and never quotes it.
func Decode(data map[string][]byte) (rotation.State, error) {
	d := decoder{data: data}
	state := rotation.State{
		Lineage: rotation.Lineage{
			RefreshToken:          d.secret(keyRefreshToken),
			PreviousRefreshToken:  d.secret(keyPreviousRefreshToken),
			RefreshTokenExpiresAt: d.time(keyRefreshTokenExpiresAt),
			Spent:                 strings.Fields(string(data[keySpent])),
			Seed:                  string(data[keySeed]),
			PreviousSeed:          string(data[keyPreviousSeed]),
			Refused:               string(data[keyRefused]),
		},
		Token: token.Token{
			AccessToken: d.secret(keyAccessToken),
			Type:        string(data[keyTokenType]),
			Validity:    token.Validity{IssuedAt: d.time(keyIssuedAt), ExpiresAt: d.time(keyExpiresAt)},
		},
		Sequence: d.integer(keySequence),
		Source:   string(data[keySource]),
	}
	state.Token.Outputs = d.outputs()
	state.Unfinished = d.unfinished()
	d.json(keyIdentity, &state.Identity)
	d.json(keyAttempt, &state.Attempt)
	var bound origins
	d.json(keyOrigin, &bound)
	state.Origin, state.PreviousOrigin, state.TokenOrigin = bound.RefreshToken, bound.PreviousRefreshToken, bound.Token
	return state, errors.Join(d.errs...)
}

// decoder collects what cannot be read.
type decoder struct {
	data map[string][]byte
	errs []error
}

func (d *decoder) fail(key string) {
	d.errs = append(d.errs, fmt.Errorf("key %q cannot be read", key))
}

func (d *decoder) secret(key string) secret.Text { return secret.New(string(d.data[key])) }

func (d *decoder) time(key string) time.Time {
	value := string(d.data[key])
	if value == "" {
		return time.Time{}
	}
	parsed, err := time.Parse(time.RFC3339Nano, value)
	if year := parsed.UTC().Year(); err != nil || year < 0 || year > 9999 { // it could not be written again
		d.fail(key)
	}
	return parsed
}

func (d *decoder) integer(key string) int64 {
	value := string(d.data[key])
	if value == "" {
		return 0
	}
	parsed, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		d.fail(key)
	}
	return parsed
}

func (d *decoder) json(key string, into any) {
	value := d.data[key]
	if len(value) == 0 {
		return
	}
	if err := json.Unmarshal(value, into); err != nil {
		d.fail(key)
	}
}

// outputs are read as a reply is, so that a value is the same to an expression
// before and after it was kept.
func (d *decoder) outputs() map[string]any {
	value := d.data[keyOutputs]
	if len(value) == 0 {
		return nil
	}
	decoded, _, err := jsontext.Decode(value)
	outputs, ok := decoded.(map[string]any)
	if err != nil || !ok {
		d.fail(keyOutputs)
	}
	return outputs
}
