// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decision says whether a provider is called. It is one ordered chain of
// reasons, used on what the caches show and again on what was read live, so that
// the two cannot disagree. It is pure: it reads nothing, and the time is a fact.
package decision

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Facts are all that the decision rests on.
type Facts struct {
	Now time.Time
	// Live is true where the Secrets and the state were read for this. Else the
	// facts are those of the caches and of the status.
	Live bool
	// Changed is true where something is not as it was when the status was written:
	// the spec, the provider, a Secret, the target or the state.
	Changed bool

	// What calls for a token.
	Token         token.Validity // of the current token; zero: none was obtained
	Due           time.Time      // when it is to be renewed
	SeedIsNew     bool           // the user gave another refresh token
	SourceChanged bool           // another provider is asked, or with other parameters
	Requested     bool           // the annotation tokenkeeper.io/refreshAt
	TargetNeeds   bool           // the target does not hold the token, and nothing else does
	Unfinished    bool           // a token has come that calls are yet to make the published one of

	// What stands against a call.
	Suspended bool
	Restored  bool             // the state is a copy or was put back, and its token may be spent
	Recovery  recovery.Verdict // of an attempt that somebody left
	Lost      bool             // the refresh token is known to be spent
	Moved     bool             // the refresh token belongs to another origin than would be asked
	CanLogin  bool             // a token can be had without a refresh token
	Last      Attempt
}

// Attempt is how the last attempt to renew the token ended.
type Attempt struct {
	// Failed is true where it brought no token and another attempt is to be made.
	Failed bool
	// Stalled is true where a person must act before another attempt is made.
	Stalled bool
	// RetryAt is when another attempt may be made; zero: at once.
	RetryAt time.Time
	// Mended is true where an input has changed since, which may be the cure.
	Mended bool
}

// Decision is what is done about the token.
type Decision string

const (
	// Look: the caches do not suffice; read the Secrets and the state, and decide
	// again.
	Look Decision = "Look"
	// Rest: the token is fresh.
	Rest Decision = "Rest"
	// Call the provider now.
	Call Decision = "Call"
	// Suspended: spec.suspend forbids calls.
	Suspended Decision = "Suspended"
	// WaitForHolder: another process may be in the middle of an exchange.
	WaitForHolder Decision = "WaitForHolder"
	// WaitForRetry: the backoff after a failure has not passed.
	WaitForRetry Decision = "WaitForRetry"
	// StayStalled: a person must act, and has not.
	StayStalled Decision = "StayStalled"
	// HoldRestored: the state is a copy, and its token may have been spent since.
	HoldRestored Decision = "HoldRestored"
	// HoldUnknown: a token was sent and it is not known whether it was spent.
	HoldUnknown Decision = "HoldUnknown"
	// HoldMoved: the refresh token belongs to another origin than would be asked now.
	HoldMoved Decision = "HoldMoved"
	// HoldLost: the token was spent and its successor never arrived.
	HoldLost Decision = "HoldLost"
)

// Decide weighs the facts. The order of the cases is the order of their weight:
// what protects a token comes first, then what a person must do, then time.
func Decide(f Facts) Decision {
	if !f.Live && f.Changed {
		return Look
	}
	switch {
	case f.Suspended:
		return Suspended
	case f.Restored && !f.SeedIsNew:
		return HoldRestored
	case f.Recovery == recovery.Wait && !f.SeedIsNew:
		return WaitForHolder
	case f.Moved && !f.SeedIsNew && !f.CanLogin:
		return HoldMoved
	case f.Recovery == recovery.Unknown && !f.SeedIsNew && !f.CanLogin:
		return HoldUnknown
	case f.Lost && !f.SeedIsNew && !f.CanLogin:
		return HoldLost
	case f.Last.Stalled && (!f.wanted() || !f.mayBeCured()): // also while the old token is fresh
		return StayStalled
	case !f.wanted():
		return Rest
	case f.Now.Before(f.Last.RetryAt) && !f.mayBeCured():
		return WaitForRetry
	default:
		return Call
	}
}

// Until is when what was decided of facts is to be decided again should nothing but the time
// change; zero: never. It is after the facts' own time: one that a status names and that has
// passed keeps nobody busy.
func (d Decision) Until(f Facts) time.Time {
	switch d {
	case Rest:
		return f.Due
	case WaitForRetry:
		return f.Last.RetryAt
	default:
		return time.Time{}
	}
}

// wanted reports whether anything calls for a token.
func (f Facts) wanted() bool {
	return f.SeedIsNew || f.SourceChanged || f.Requested || f.TargetNeeds || f.Unfinished ||
		f.Last.Failed || f.Last.Stalled && f.Last.Mended ||
		f.Token.IsZero() || !f.Now.Before(f.Due) ||
		f.Recovery == recovery.Resend || f.Recovery == recovery.Unknown
}

// IsAhead reports whether the call that was decided on is ahead of its time, for what a
// user did: it would not be made now without the refresh that was asked for, or without
// the edit of a spec or of a Secret.
func (f Facts) IsAhead() bool {
	f.Requested, f.Last.Mended, f.SeedIsNew, f.SourceChanged = false, false, false, false
	return Decide(f) != Call
}

// IsFirst reports whether nothing is known of any attempt: the credential is new, or was
// made again.
func (f Facts) IsFirst() bool { return f.Token.IsZero() && !f.Last.Failed && !f.Last.Stalled }

// mayBeCured reports whether what the last attempt failed for may be gone, so that
// no backoff holds: an input has changed, or the user asks for it. A new seed or source
// is an input that has changed, unless the last attempt was made with it already: one
// that the provider refuses stays new where nothing is saved for it.
func (f Facts) mayBeCured() bool {
	return f.Last.Mended || f.Requested
}
