// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// measureOutage lets the provider answer 503 for half of a lifetime, as if tokens
// of ten minutes met an outage of five. Only tokens that may be sent again take
// part: after a bare 503 a single-use one waits for a person.
func measureOutage(ctx context.Context, l *lab) (*result, error) {
	raw, err := l.rawLimits(ctx)
	if err != nil {
		return nil, err
	}
	best, _ := raw.best()
	wanted := l.number(l.credentials)
	n := min(wanted, l.perCycle(best*caughtUp/reusable.writes))
	observer, err := l.evenly(ctx, reusable.vendor, n)
	if err != nil {
		return nil, err
	}
	defer observer.end()
	observer.forget()
	peak := &peak{}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go l.watchCalls(watching, peak)

	length := l.lifetime / 2
	steady, err := l.watchPeak(ctx, peak, 10*time.Second, "before the outage")
	if err != nil {
		return nil, err
	}
	if err := l.simulator.setUnavailable(ctx, true); err != nil {
		return nil, err
	}
	began := time.Now()
	down, err := l.watchPeak(ctx, peak, length, "the provider is down")
	if err != nil {
		return nil, err
	}
	if err := l.simulator.setUnavailable(ctx, false); err != nil {
		return nil, err
	}
	back := time.Now()
	_, overdueThen, err := observer.behind(back, l.oldest())
	if err != nil {
		return nil, err
	}
	recovered := l.awaitRecovery(ctx, observer)
	took := time.Since(back)
	up := peak.most.Swap(0)

	r := &result{}
	if n < wanted {
		r.note("with %d credentials this machine would have no room to catch up: %d ask for %.0f %% of the raw limit of writes", wanted, n, 100*caughtUp)
	}
	r.add("credentials", float64(n), "")
	r.add("outage", length.Seconds(), "s")
	r.add("tokens overdue when the provider is back", float64(overdueThen), "")
	r.add("until none is expired and none overdue", took.Seconds(), "s")
	l.reportOutage(r, observer.forget(), began, back)
	r.add("most calls in a second: before", float64(steady), "")
	r.add("most calls in a second: during the outage", float64(down), "")
	r.add("most calls in a second: after it", float64(up), "")
	return r, recovered
}

// reportOutage tells what became of the tokens.
func (l *lab) reportOutage(r *result, seen []replacement, began, back time.Time) {
	var during, after, inTime int
	var longest time.Duration
	var order, came, waited []float64
	for _, each := range seen {
		if each.at.Before(began) {
			continue
		}
		switch {
		case each.expired() <= 0 && each.age > l.oldest():
			inTime++
		case each.expired() <= 0:
		case each.expires.Before(back):
			during++
		default:
			after++
		}
		longest = max(longest, each.expired())
		if each.at.After(back) && each.age > l.oldest() {
			order = append(order, float64(each.expires.Unix()))
			came = append(came, float64(each.at.UnixNano()))
			waited = append(waited, each.at.Sub(back).Seconds())
		}
	}
	r.add("tokens expired while the provider was down", float64(during), "")
	r.add("tokens expired after it was back", float64(after), "")
	r.add("longest time that a target held an expired token", longest.Seconds(), "s")
	r.add("overdue tokens renewed after the provider is back, p50", quantile(0.5, waited), "s")
	r.add("overdue tokens renewed after the provider is back, p99", quantile(0.99, waited), "s")
	r.add("order of recovery: rank correlation with expiry", rankCorrelation(order, came), "")
	r.note("1 is deadline order, 0 none, -1 the reverse, over %d tokens that were overdue; %d overdue ones were renewed before they expired", len(order), inTime)
}

// awaitRecovery waits until no target is expired and none overdue.
func (l *lab) awaitRecovery(ctx context.Context, observer *observer) error {
	return l.await(ctx, "no token is expired and none overdue", max(5*l.lifetime, 3*time.Minute), func(context.Context) (bool, string, error) {
		expired, overdue, err := observer.behind(time.Now(), l.oldest())
		return expired == 0 && overdue == 0, fmt.Sprintf("%d tokens are expired, %d overdue", expired, overdue), err
	})
}

// peak is the most calls in a second.
type peak struct{ most atomic.Int64 }

// watchCalls counts the calls of each second, until the context ends.
func (l *lab) watchCalls(ctx context.Context, peak *peak) {
	var last []float64
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		counted, err := l.simulator.counts(ctx)
		if err != nil {
			return
		}
		last = append(last, counted.all)
		if n := len(last); n > 1 {
			if calls := int64(last[n-1] - last[n-2]); calls > peak.most.Load() {
				peak.most.Store(calls)
			}
		}
		last = slices.Clone(last[max(len(last)-2, 0):])
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// watchPeak lets time pass and returns the most calls in a second of it.
func (l *lab) watchPeak(ctx context.Context, peak *peak, length time.Duration, what string) (int64, error) {
	peak.most.Store(0)
	err := l.watchFor(ctx, length, what)
	return peak.most.Swap(0), err
}
