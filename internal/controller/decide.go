// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// facts are all that the decision to call a provider rests on.
type facts struct {
	now time.Time

	// What would call for a token.
	hasToken       bool      // one was obtained, expired or not
	due            time.Time // when it is to be renewed
	seedIsNew      bool      // the user gave another refresh token
	sourceChanged  bool      // the user asks another provider, or with other parameters
	corrected      bool      // a person had to act, and a Secret or the provider has changed
	requested      bool      // the annotation tokenkeeper.io/refreshAt
	failed         bool      // the last attempt failed, whatever it was made for
	targetNeedsOne bool      // the target has drifted and its token is kept nowhere else

	// What stands against it.
	restored bool              // the state is a copy, and its token may be spent
	recovery rotation.Recovery // of an attempt that somebody left
	lost     bool              // the refresh token is known to be spent, and there is no login
	stalled  bool              // a person must act
	retryAt  time.Time         // when a failed attempt may be tried again
	changed  bool              // an input has changed since the last visit
}

// decision is what a visit does about the token.
type decision string

const (
	// rest: the token is fresh.
	rest decision = "rest"
	// call the provider now.
	call decision = "call"
	// waitForHolder: another process may be in the middle of an exchange.
	waitForHolder decision = "waitForHolder"
	// waitForRetry: the backoff after a failure has not passed.
	waitForRetry decision = "waitForRetry"
	// stayStalled: a person must act, and has not.
	stayStalled decision = "stayStalled"
	// holdRestored: the state is a copy, and its token may have been spent since.
	holdRestored decision = "holdRestored"
	// holdUnknown: a token was sent and nobody knows what became of it.
	holdUnknown decision = "holdUnknown"
	// holdLost: the token was spent and its successor never arrived.
	holdLost decision = "holdLost"
)

// decide is the one place that says whether a provider is called. The order of
// the cases is the order of their weight.
func decide(f facts) decision {
	wanted := f.seedIsNew || f.sourceChanged || f.corrected || f.requested || f.failed || f.targetNeedsOne ||
		!f.hasToken || !f.now.Before(f.due) || f.recovery == rotation.Resend
	// An input that changed may be the cure, so it is tried at once.
	cured := f.changed || f.requested
	switch {
	case f.restored && !f.seedIsNew:
		return holdRestored
	case f.recovery == rotation.Wait && !f.seedIsNew:
		return waitForHolder
	case f.recovery == rotation.Unknown && !f.seedIsNew:
		return holdUnknown
	case f.lost && !f.seedIsNew:
		return holdLost
	case f.stalled && (!wanted || !cured): // also while the old token is fresh
		return stayStalled
	case !wanted:
		return rest
	case f.now.Before(f.retryAt) && !cured:
		return waitForRetry
	default:
		return call
	}
}
