// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// Allowance is how many calls a provider takes in each period.
type Allowance struct {
	Requests int
	Per      time.Duration
}

// Rates keeps the calls to each provider within its allowance. Its zero value is
// ready to use. Safe for concurrent use.
type Rates struct {
	mu     sync.Mutex
	meters map[string]*meter
}

// meter of one provider.
type meter struct {
	allowance Allowance
	limiter   *rate.Limiter
	booked    map[types.NamespacedName]time.Time
}

// Take takes one call out of a provider's allowance. Where none is left it books
// the next that will be, and returns how long that is from now: whoever comes back
// then goes ahead, and nobody comes in vain.
func (r *Rates) Take(provider string, allowance Allowance, who types.NamespacedName, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.meter(provider, allowance)
	if at, booked := m.booked[who]; booked {
		if wait := at.Sub(now); wait > 0 {
			return wait
		}
		delete(m.booked, who)
		return 0
	}
	wait := m.limiter.ReserveN(now, 1).DelayFrom(now)
	if wait > 0 {
		m.booked[who] = now.Add(wait)
	}
	return wait
}

// Forget drops what somebody has booked.
func (r *Rates) Forget(who types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.meters {
		delete(m.booked, who)
	}
}

// meter of a provider; a new one, in which nothing is booked, where the allowance
// has changed.
func (r *Rates) meter(provider string, allowance Allowance) *meter {
	if r.meters == nil {
		r.meters = map[string]*meter{}
	}
	known, ok := r.meters[provider]
	if !ok || known.allowance != allowance {
		known = &meter{allowance, rate.NewLimiter(spread(allowance)), map[types.NamespacedName]time.Time{}}
		r.meters[provider] = known
	}
	return known
}

// spread turns "so many in each period" into a token bucket that keeps to it in
// any period, wherever it begins: a bucket lets its burst through on top of what
// flows in meanwhile, so the two together make the allowance.
func spread(allowance Allowance) (rate.Limit, int) {
	const burstShare = 10
	burst := max(1, allowance.Requests/burstShare)
	inflow := allowance.Requests - burst + 1
	return rate.Every(allowance.Per / time.Duration(inflow)), burst
}
