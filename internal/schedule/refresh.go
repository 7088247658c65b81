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
)

const (
	// ShortLifetime is the lifetime below which a kubelet may deliver a token to
	// a mounted volume only after it has expired: kubelets look about once a
	// minute, and their Secret cache adds to that.
	ShortLifetime = 90 * time.Second

	// maxJitter bounds the jitter, whatever the lifetime.
	maxJitter = 5 * time.Minute

	// jitterShare of the lifetime bounds the jitter too: 10 %.
	jitterShare = 10

	// earliestShare of the lifetime must pass before a renewal, however large
	// renewal.before is: 10 %, so that no setting makes a loop of calls.
	earliestShare = 10
)

// Token is the part of a token that matters to time.
type Token struct {
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Lifetime the token was granted.
func (t Token) Lifetime() time.Duration { return t.ExpiresAt.Sub(t.IssuedAt) }

// Renewal says when a token is renewed.
type Renewal struct {
	// Percentage of the lifetime granted, 1 to 99.
	Percentage int32
	// Before is the least time before expiry; 0: no such bound.
	Before time.Duration
}

// RefreshAt is when a token is renewed: after the percentage of its lifetime,
// or Before its expiry, whichever is first, less a jitter that the seed (the
// credential's UID) fixes. It is never later than those two moments, and never
// earlier than a tenth of the lifetime. It falls on a whole second, as status
// carries it, so that what is decided is what was told.
func RefreshAt(token Token, renewal Renewal, seed string) time.Time {
	lifetime := token.Lifetime()
	due := token.IssuedAt.Add(lifetime / 100 * time.Duration(renewal.Percentage))
	if renewal.Before > 0 {
		if latest := token.ExpiresAt.Add(-renewal.Before); latest.Before(due) {
			due = latest
		}
	}
	due = due.Add(-Jitter(lifetime, seed))
	if earliest := token.IssuedAt.Add(lifetime / earliestShare); due.Before(earliest) {
		due = earliest
	}
	return due.Truncate(time.Second)
}

// Jitter spreads credentials that got their tokens together: from 0 up to a
// tenth of the lifetime and 5 minutes, the same for the same seed.
func Jitter(lifetime time.Duration, seed string) time.Duration {
	return fraction(min(lifetime/jitterShare, maxJitter), seed)
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
