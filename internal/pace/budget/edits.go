// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/pace/sweep"
)

const (
	// editBurst is how many edits in quick succession get their attempt at once: a
	// person who corrects a typing error, and then the next.
	editBurst = 3
	// editInterval is how often an edit does after that: about as fast as a person
	// edits and looks at the result, and too slow to be of use to a script that edits
	// in order to evade the backoff.
	editInterval = 10 * time.Second
)

// Edits limits the attempts that edits of a credential cause ahead of its backoff or its
// time. Each credential has a token bucket, which outlives the credential: to delete
// and create it anew evades nothing. A bucket that is full again is forgotten. The zero
// value is ready to use. Safe for concurrent use.
type Edits struct {
	mu      sync.Mutex
	buckets map[types.NamespacedName]*rate.Limiter
	sweeper sweep.Sweeper
}

// Take takes an attempt out of a credential's bucket and returns 0, or returns how
// long it is until there is one, and takes nothing.
func (e *Edits) Take(who types.NamespacedName, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(now)
	return e.take(e.bucket(who), now)
}

// TakeFirst is as Take, for the first attempt of a credential. It takes nothing unless
// one of that name was edited or deleted a short while ago.
func (e *Edits) TakeFirst(who types.NamespacedName, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(now)
	if bucket := e.buckets[who]; bucket != nil {
		return e.take(bucket, now)
	}
	return 0
}

// Deleted notes that a credential is gone: one that comes under its name shares its
// bucket.
func (e *Edits) Deleted(who types.NamespacedName, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(now)
	e.bucket(who)
}

// Tick forgets what can be forgotten, also while nothing else happens.
func (e *Edits) Tick(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(now)
}

func (e *Edits) bucket(who types.NamespacedName) *rate.Limiter {
	bucket := e.buckets[who]
	if bucket == nil {
		bucket = rate.NewLimiter(rate.Every(editInterval), editBurst)
		if e.buckets == nil {
			e.buckets = map[types.NamespacedName]*rate.Limiter{}
		}
		e.buckets[who] = bucket
	}
	return bucket
}

func (e *Edits) take(bucket *rate.Limiter, now time.Time) time.Duration {
	reservation := bucket.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// forget drops the buckets that are full, and so like new.
func (e *Edits) forget(now time.Time) {
	if !e.sweeper.Due(now) {
		return
	}
	for who, bucket := range e.buckets {
		if bucket.TokensAt(now) >= editBurst {
			delete(e.buckets, who)
		}
	}
}
