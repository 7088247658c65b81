// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
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

// Edits limits the attempts that edits of a credential cause ahead of its backoff.
// Each credential has a token bucket, which outlives the credential: to delete and
// create it anew evades nothing. A bucket that is full again is forgotten. The zero
// value is ready to use. Safe for concurrent use.
type Edits struct {
	mu      sync.Mutex
	buckets map[types.NamespacedName]*rate.Limiter
	sweeper sweeper
}

// Take takes an attempt out of a credential's bucket and returns 0, or returns how
// long it is until there is one, and takes nothing.
func (e *Edits) Take(who types.NamespacedName, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(now)
	bucket := e.buckets[who]
	if bucket == nil {
		bucket = rate.NewLimiter(rate.Every(editInterval), editBurst)
		if e.buckets == nil {
			e.buckets = map[types.NamespacedName]*rate.Limiter{}
		}
		e.buckets[who] = bucket
	}
	reservation := bucket.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// forget drops the buckets that are full, and so like new.
func (e *Edits) forget(now time.Time) {
	if !e.sweeper.due(now) {
		return
	}
	for who, bucket := range e.buckets {
		if bucket.TokensAt(now) >= editBurst {
			delete(e.buckets, who)
		}
	}
}
