// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedule decides when a token is renewed, when a failed attempt is
// tried again, and when a credential is next looked at. Its functions are pure:
// they have no clock, and the same inputs give the same time before and after a
// restart.
package schedule

import (
	"hash/fnv"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

const (
	// ShortLifetime is the lifetime below which a kubelet may deliver a token to
	// a mounted volume only after it has expired: kubelets look about once a
	// minute, and their Secret cache adds to that.
	ShortLifetime = 90 * time.Second

	// maxJitter bounds the jitter, whatever the lifetime.
	maxJitter = 5 * time.Minute

	// jitterShare of the time until the renewal bounds the jitter too: 10 %, and
	// so at most 10 % of the lifetime.
	jitterShare = 10

	// earliest is how soon after its issue a token may be renewed (or after a
	// tenth of its lifetime, if that is sooner), so that no setting makes a storm
	// of calls.
	earliest = 5 * time.Second

	// maxSkew is how far the clocks of two processes may differ before a time that
	// one of them recorded counts as wrong.
	maxSkew = time.Minute
)

// Renewal says when a token is renewed.
type Renewal struct {
	// Percentage of the lifetime granted, 1 to 99.
	Percentage int32
	// Before is the least time before expiry; 0: no such bound.
	Before time.Duration
	// AtLeastEvery is the longest time since the issue, however long the token lives; 0:
	// no such bound.
	AtLeastEvery time.Duration
	// Earliest is the percentage of the lifetime before which the provider refuses to
	// renew a token: it counts for more than all else; 0: no such bound.
	Earliest int
	// GrantEndsAt is the refresh token's own end; zero: it has none, or it is not known.
	GrantEndsAt time.Time
}

// RefreshAt is when a token is renewed: after the percentage of its lifetime, or Before its
// expiry, or AtLeastEvery after its issue, whichever is first, less a jitter that the seed
// (the credential's UID) fixes: only ever earlier than those moments. A Before that is not
// shorter than the lifetime is ignored. Where the refresh token ends sooner, its end counts
// with the same margin: a grant must not be lost while its access token lives. What would
// come before Earliest comes just after it.
//
// A token that was given again is renewed when it ends, where that is soon: its server
// has no other before, and to ask it again and again brings nothing.
//
// The time is on a whole second, the precision of status, so that the status and the
// decision agree; and it is at least one second after the issue.
func RefreshAt(validity token.Validity, renewal Renewal, seed string) time.Time {
	due := before(validity, renewal, seed)
	if validity.Repeated && validity.Lifetime() <= ShortLifetime {
		due = validity.ExpiresAt
	}
	if grant := (token.Validity{IssuedAt: validity.IssuedAt, ExpiresAt: renewal.GrantEndsAt}); grant.Lifetime() >= token.ShortestRefresh {
		due = earlier(due, before(grant, renewal, seed))
	}
	return due
}

func earlier(one, other time.Time) time.Time {
	if other.Before(one) {
		return other
	}
	return one
}

// before its end is when a token is renewed.
func before(validity token.Validity, renewal Renewal, seed string) time.Time {
	lifetime := validity.Lifetime()
	delay := lifetime / 100 * time.Duration(renewal.Percentage)
	if renewal.Before > 0 && renewal.Before < lifetime {
		delay = min(delay, lifetime-renewal.Before)
	}
	if renewal.AtLeastEvery > 0 {
		delay = min(delay, renewal.AtLeastEvery)
	}
	delay = max(delay-Jitter(delay, seed), min(lifetime/10, earliest))
	due := validity.IssuedAt.Add(delay).Truncate(time.Second)
	if !due.After(validity.IssuedAt) {
		due = validity.IssuedAt.Add(time.Second)
	}
	return notBefore(due, validity, renewal.Earliest, seed)
}

// StartAt is when a renewal begins that is due on a whole second: within the second
// before it, and no more than a hundredth of the delay before it, at a moment that the
// seed fixes. Else what is due in one second would all come at its first moment.
//
// What is due when its token ends starts behind the second of that end: it is known to
// the second, and a server which keeps the token until then would give it once more.
func StartAt(validity token.Validity, due time.Time, seed string) time.Time {
	if validity.Repeated && due.Equal(validity.ExpiresAt) {
		return due.Add(time.Second)
	}
	issuedAt := validity.IssuedAt
	return due.Add(-fraction(min(due.Sub(issuedAt)/100, time.Second), seed+"/start"))
}

// FromFuture reports whether a time that was recorded as past lies ahead: it was
// recorded under clock skew, and times derived from it are to be ignored.
func FromFuture(recorded, now time.Time) bool { return recorded.Sub(now) > maxSkew }

// Jitter spreads credentials that got their tokens together: from 0 up to a
// tenth of the delay until their renewal and 5 minutes, the same for the same
// seed.
func Jitter(delay time.Duration, seed string) time.Duration {
	return fraction(min(delay/jitterShare, maxJitter), seed)
}

// fraction of a span that a seed picks, evenly in [0, span).
func fraction(span time.Duration, seed string) time.Duration {
	if span <= 0 {
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(seed))
	const resolution = 1 << 16
	return span / resolution * time.Duration(mix(hash.Sum64())%resolution)
}

// mix spreads what FNV leaves alike in the low bits of similar seeds
// (MurmurHash3's 64-bit finalizer).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
