// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
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
	keySource                = "source"
	keyIdentity              = "identity"
	keyAttempt               = "attempt"
)

// encode writes the state into a Secret's data and leaves foreign keys alone.
func (s State) encode(data map[string][]byte) error {
	text := map[string]string{
		keyRefreshToken:          s.RefreshToken.Reveal(),
		keyPreviousRefreshToken:  s.PreviousRefreshToken.Reveal(),
		keyRefreshTokenExpiresAt: encodeTime(s.RefreshTokenExpiresAt),
		keyAccessToken:           s.AccessToken.Reveal(),
		keyTokenType:             s.TokenType,
		keyIssuedAt:              encodeTime(s.IssuedAt),
		keyExpiresAt:             encodeTime(s.ExpiresAt),
		keySequence:              strconv.FormatInt(s.Sequence, 10),
		keySpent:                 strings.Join(s.Spent, "\n"),
		keySeed:                  s.Seed,
		keySource:                s.Source,
	}
	for key, value := range text {
		if value == "" {
			delete(data, key)
			continue
		}
		data[key] = []byte(value)
	}
	return errors.Join(
		encodeJSON(data, keyOutputs, s.Outputs, len(s.Outputs) == 0),
		encodeJSON(data, keyIdentity, s.Identity, s.Identity == Identity{}),
		encodeJSON(data, keyAttempt, s.Attempt, s.Attempt == nil),
	)
}

func encodeTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func encodeJSON(data map[string][]byte, key string, value any, empty bool) error {
	if empty {
		delete(data, key)
		return nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s of the state: %w", key, err)
	}
	data[key] = encoded
	return nil
}

// decode reads the state from a Secret's data. An error names the key that
// cannot be read, and never quotes it.
func decode(data map[string][]byte) (State, error) {
	d := decoder{data: data}
	state := State{
		RefreshToken:          d.secret(keyRefreshToken),
		PreviousRefreshToken:  d.secret(keyPreviousRefreshToken),
		RefreshTokenExpiresAt: d.time(keyRefreshTokenExpiresAt),
		AccessToken:           d.secret(keyAccessToken),
		TokenType:             string(data[keyTokenType]),
		IssuedAt:              d.time(keyIssuedAt),
		ExpiresAt:             d.time(keyExpiresAt),
		Sequence:              d.integer(keySequence),
		Spent:                 strings.Fields(string(data[keySpent])),
		Seed:                  string(data[keySeed]),
		Source:                string(data[keySource]),
	}
	d.json(keyOutputs, &state.Outputs)
	for name, value := range state.Outputs {
		state.Outputs[name] = numbers(value)
	}
	d.json(keyIdentity, &state.Identity)
	d.json(keyAttempt, &state.Attempt)
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
	if err != nil {
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
	reader := json.NewDecoder(bytes.NewReader(value))
	reader.UseNumber()
	if err := reader.Decode(into); err != nil {
		d.fail(key)
	}
}

// numbers turns JSON numbers into int64 where they are whole, as the engine
// does, so that outputs have the same types before and after a restart.
func numbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		float, _ := value.Float64()
		return float
	case []any:
		for i := range value {
			value[i] = numbers(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = numbers(value[key])
		}
	}
	return value
}
