// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/sealed"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Courier calls providers. A request whose context has an attempt (WithAttempt) is sent
// once, whatever happens to who asked for it; any other is passed through.
type Courier interface {
	egress.Caller
	// Instance names the process that takes exchanges now, as far as is known; no other
	// process has the same. A claim holds it.
	Instance() string
	// Ask what became of an attempt. What was never received, or has ended, is closed by
	// it: nothing more is sent under that ID. An error means that no answer came in time.
	Ask(ctx context.Context, question Question) (Answer, error)
	// Saved tells that what an attempt brought is needed no more.
	Saved(attempt string)
}

// Attempt is what an exchange is known by.
type Attempt struct {
	// ID of the claim.
	ID string `json:"id"`
	// Courier is the instance that the claim names: no other takes the request.
	Courier string `json:"courier"`
	// Namespace is whose share of the room the reply takes.
	Namespace string `json:"namespace"`
	// Note comes back with the reply: what is needed to read it.
	Note []byte `json:"note,omitempty"`
	// Again marks the second request under one claim, after a reply that asked for it.
	Again bool `json:"again,omitempty"`
	// Key seals the reply (KeyOf).
	Key secret.Text `json:"-"`
}

// KeyOf an attempt, made from the refresh token that it sends.
func KeyOf(sent secret.Text, attempt string) (secret.Text, error) {
	return sealed.Key(sent, attempt, "tokenkeeper courier")
}

type attemptKey struct{}

// WithAttempt has a request of this context carried under an attempt.
func WithAttempt(ctx context.Context, attempt Attempt) context.Context {
	return context.WithValue(ctx, attemptKey{}, attempt)
}

func attemptOf(ctx context.Context) (Attempt, bool) {
	attempt, ok := ctx.Value(attemptKey{}).(Attempt)
	return attempt, ok
}

// Question is about an attempt that somebody left.
type Question struct {
	// Attempt is its ID.
	Attempt string `json:"attempt"`
	// Courier is the instance that its claim names.
	Courier string `json:"courier"`
	// Started is when the claim was made.
	Started time.Time `json:"started"`
}

// Fate of an attempt.
type Fate string

const (
	// NeverReceived: nothing was sent, and nothing will be.
	NeverReceived Fate = "NeverReceived"
	// UnderWay: it was sent, perhaps, and its end is awaited.
	UnderWay Fate = "UnderWay"
	// Ended: here is what came of it.
	Ended Fate = "Ended"
	// Stranger: another courier was to take it, or it is too long ago to tell.
	Stranger Fate = "Stranger"
)

// Answer is what a courier knows of an attempt.
type Answer struct {
	Fate Fate
	// Content is what came of it, sealed; where it has ended.
	Content []byte
}

// Outcome is what came of an exchange.
type Outcome struct {
	Reply *egress.Reply
	// Failure is what Do would have returned beside the reply.
	Failure error
	// Note is the attempt's.
	Note []byte
}

// Open reads what came of an attempt, for who has its key.
func (a Answer) Open(key secret.Text) (Outcome, bool) { return open(key, a.Content) }
