// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget hands out what there is so much of in a time: the calls that a provider's
// rate limit allows, and the attempts that edits of a credential cause. It makes no calls
// and has no clock; what has had no effect for a while is forgotten.
package budget

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/pace/sweep"
)

// keepBooking is how long a booked call is kept for a credential that has not come
// for it. After that it is lost, and the credential takes another.
const keepBooking = 10 * time.Minute

// Allowance is how many calls a provider takes in each period.
type Allowance struct {
	Requests int
	Per      time.Duration
}

// Rates keeps the calls to each provider within its allowance. Providers of which
// nothing needs to be remembered are forgotten. The zero value is ready to use. Safe
// for concurrent use.
type Rates struct {
	mu      sync.Mutex
	meters  map[string]*meter
	sweeper sweep.Sweeper
}

// meter of one provider.
type meter struct {
	allowance Allowance
	limiter   *rate.Limiter
	booked    map[types.NamespacedName]time.Time
}

// Take takes one call out of a provider's allowance. Where none is left it books the
// next that will be, and returns how long that is from now: whoever comes back then
// may call, and nobody comes in vain.
func (r *Rates) Take(provider string, allowance Allowance, who types.NamespacedName, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
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

// Forget drops what a credential has booked.
func (r *Rates) Forget(who types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.meters {
		delete(m.booked, who)
	}
}

// forget drops bookings that nobody has come for, and providers of which the whole
// burst is there again: they are like new.
func (r *Rates) forget(now time.Time) {
	if !r.sweeper.Due(now) {
		return
	}
	for provider, m := range r.meters {
		for who, at := range m.booked {
			if now.Sub(at) > keepBooking {
				delete(m.booked, who)
			}
		}
		if len(m.booked) == 0 && m.limiter.TokensAt(now) >= float64(m.limiter.Burst()) {
			delete(r.meters, provider)
		}
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
