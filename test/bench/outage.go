// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// What an outage of half of a lifetime may leave behind, at goalRate.
const (
	outageCredentials = 6150
	recovery          = 22 * time.Second // until all tokens are well again
	statusRecovery    = 30 * time.Second // until all statuses say so, from there
)

// measureOutage lets the provider answer 503 for half of a lifetime, as if tokens
// of ten minutes met an outage of five. Only tokens that may be sent again take
// part: after a bare 503 a single-use one waits for a person.
func measureOutage(ctx context.Context, l *lab) (*result, error) {
	raw, err := rawLimits(ctx, l)
	if err != nil {
		return nil, err
	}
	n := l.number(outageCredentials)
	observer, err := evenly(ctx, l, reusable.vendor, n)
	if err != nil {
		return nil, err
	}
	defer observer.end()
	peak := &peak{}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go watchCalls(watching, l, peak)

	r := &result{}
	best, _ := raw.best()
	r.add("credentials", float64(n), "")
	r.note("%d credentials of %s ask for %.0f %% of the raw limit of writes, %.0f a second", n, l.lifetime,
		100*reusable.writes*float64(n)/l.cycle().Seconds()/best, best)
	steady, err := watchPeak(ctx, l, peak, min(10*time.Second, l.lifetime/8), "before the outage")
	if err != nil {
		return nil, err
	}
	observer.forget()
	began := time.Now()
	down, err := interrupt(ctx, l, peak)
	if err != nil {
		return nil, err
	}
	back := time.Now()
	r.add("outage", back.Sub(began).Seconds(), "s")
	r.add("most calls in a second: before", float64(steady), "")
	r.add("most calls in a second: during the outage", float64(down), "")
	err = measureRecovery(ctx, l, r, raw, observer, back)
	r.add("most calls in a second: after it", float64(peak.most.Swap(0)), "")
	reportOutage(l, r, observer.forget(), began, back)
	return r, err
}

// interrupt makes the provider unavailable for half of a lifetime.
func interrupt(ctx context.Context, l *lab, peak *peak) (most int64, err error) {
	if err := l.simulator.setUnavailable(ctx, true); err != nil {
		return 0, err
	}
	most, err = watchPeak(ctx, l, peak, l.lifetime/2, "the provider is down")
	return most, errors.Join(err, l.simulator.setUnavailable(ctx, false))
}

// measureRecovery waits until all tokens are well again, and then until all statuses are.
func measureRecovery(ctx context.Context, l *lab, r *result, raw *rawRates, o *observer, back time.Time) error {
	from, err := l.read(ctx)
	if err != nil {
		return err
	}
	_, overdue, err := o.behind(back, l.oldest())
	if err != nil {
		return err
	}
	r.add("tokens overdue when the provider is back", float64(overdue), "")
	if err := awaitRecovery(ctx, l, o); err != nil {
		r.judge("until none is expired and none overdue", math.NaN(), "s", raw.seconds(recovery.Seconds()))
		return err
	}
	well := time.Now()
	r.judge("until none is expired and none overdue", well.Sub(back).Seconds(), "s", raw.seconds(recovery.Seconds()))
	r.add("statuses that do not agree with their targets then", float64(o.staleStatuses()), "")
	right, err := awaitStatuses(ctx, l, o, l.patience)
	if err != nil {
		r.judge("until each of these agrees, from there", math.NaN(), "s", raw.seconds(statusRecovery.Seconds()))
		return err
	}
	r.judge("until each of these agrees, from there", right.Sub(well).Seconds(), "s", raw.seconds(statusRecovery.Seconds()))
	to, err := l.read(ctx)
	if err != nil {
		return err
	}
	span := between(from, to)
	r.add("the harness meanwhile", span.share(harness), "% of one processor")
	r.note("from the provider's return on %.0f tokens were published and %.0f statuses written; %s",
		span.published(), span.asked.writesTo("tokencredentials/status"), span.machine())
	return nil
}

// reportOutage tells what became of the tokens.
func reportOutage(l *lab, r *result, seen []replacement, began, back time.Time) {
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
func awaitRecovery(ctx context.Context, l *lab, observer *observer) error {
	return l.await(ctx, "no token is expired and none overdue", max(5*l.lifetime, 3*time.Minute), func(context.Context) (bool, string, error) {
		expired, overdue, err := observer.behind(time.Now(), l.oldest())
		return expired == 0 && overdue == 0, fmt.Sprintf("%d tokens are expired, %d overdue", expired, overdue), err
	})
}

// peak is the most calls in a second.
type peak struct{ most atomic.Int64 }

// watchCalls counts the calls of each second, until the context ends.
func watchCalls(ctx context.Context, l *lab, peak *peak) {
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
func watchPeak(ctx context.Context, l *lab, peak *peak, length time.Duration, what string) (int64, error) {
	peak.most.Store(0)
	err := l.watchFor(ctx, length, what)
	return peak.most.Swap(0), err
}
