// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"context"
	"errors"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// Note is what a reply is read with that only who made the request knows. It goes with the
// request and comes back with the reply.
type Note struct {
	// Now and ID are the values of now and uuid() throughout the exchange.
	Now time.Time
	ID  string
	// Outputs are what calls before it gave.
	Outputs map[string]any
	// Again marks the second request under one claim.
	Again bool
}

// Keys of a note.
const (
	noteNow     = "now"
	noteID      = "id"
	noteOutputs = "outputs"
)

// Encode writes the note as the courier keeps it beside an exchange.
func (n Note) Encode() ([]byte, error) {
	return jsontext.Encode(map[string]any{noteNow: n.Now.Format(time.RFC3339Nano), noteID: n.ID, noteOutputs: n.Outputs})
}

// NoteOf a reply. What is missing in it is as if nothing had been known; the time is that
// of the claim then.
func NoteOf(encoded []byte, claimed time.Time) Note {
	n := Note{Now: claimed.UTC().Truncate(time.Second)}
	decoded, _, err := jsontext.Decode(encoded)
	fields, ok := decoded.(map[string]any)
	if err != nil || !ok {
		return n
	}
	text, _ := fields[noteNow].(string)
	if now, err := time.Parse(time.RFC3339Nano, text); err == nil {
		n.Now = now
	}
	n.ID, _ = fields[noteID].(string)
	n.Outputs, _ = fields[noteOutputs].(map[string]any)
	return n
}

// carried has the request of a claim carried by the courier, under the claim's ID.
func (c *Call) carried(ctx context.Context) (context.Context, error) {
	if c.attempt == nil || c.visit.By.Courier == nil {
		return ctx, nil
	}
	key, err := courier.KeyOf(c.sent, c.attempt.ID)
	if err != nil {
		return nil, err
	}
	encoded, err := c.note.Encode()
	if err != nil {
		return nil, errors.New("what calls before the refresh gave cannot be written down")
	}
	return courier.WithAttempt(ctx, courier.Attempt{
		ID: c.attempt.ID, Courier: c.attempt.Courier, Namespace: c.visit.Credential.Namespace, Note: encoded, Again: c.note.Again, Key: key,
	}), nil
}
