// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

// Limits holds one limiter for each provider that declares a rate limit. Its
// zero value is ready to use.
type Limits struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// reserve takes one call out of a provider's allowance. It returns how long to
// wait where none is left, and then takes none.
func (l *Limits) reserve(p found, now time.Time) time.Duration {
	if p.RateLimit == nil {
		return 0
	}
	reservation := l.limiter(p).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (l *Limits) limiter(p found) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limiters == nil {
		l.limiters = map[string]*rate.Limiter{}
	}
	limit, burst := spread(p.RateLimit)
	known, ok := l.limiters[p.key]
	if !ok || known.Limit() != limit || known.Burst() != burst {
		known = rate.NewLimiter(limit, burst)
		l.limiters[p.key] = known
	}
	return known
}

// spread turns "so many in each period" into a token bucket that keeps to it in
// any period, wherever it begins: a bucket lets its burst through on top of what
// flows in meanwhile, so the two together make the allowance.
func spread(allowance *provider.RateLimit) (rate.Limit, int) {
	const burstShare = 10
	burst := max(1, allowance.Requests/burstShare)
	inflow := allowance.Requests - burst + 1
	return rate.Every(allowance.Per / time.Duration(inflow)), burst
}
