// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"
)

// coldStart is how long ten thousand first tokens of the single-use kind may take, at
// goalRate.
const coldStart = 75 * time.Second

// measureColdStart makes credentials while no operator runs, and starts it.
func measureColdStart(ctx context.Context, l *lab) (*result, error) {
	raw, err := rawLimits(ctx, l)
	if err != nil {
		return nil, err
	}
	r := &result{}
	for _, kind := range kinds {
		if err := renew(ctx, l); err != nil {
			return r, err
		}
		if err := measureColdStartOf(ctx, l, r, kind, raw); err != nil {
			return r, err
		}
	}
	return r, nil
}

// measureColdStartOf measures a cold start with credentials of one kind alone.
func measureColdStartOf(ctx context.Context, l *lab, r *result, kind kind, raw *rawRates) error {
	n := l.number(l.credentials)
	observer, err := l.observe(ctx, true)
	if err != nil {
		return err
	}
	defer observer.end()
	if err := populate(ctx, l, population{vendor: kind.vendor, count: n}); err != nil {
		return err
	}
	from, err := l.read(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	ready, err := l.start(ctx)
	if err != nil {
		return err
	}
	last, err := awaitTokens(ctx, l, observer, n, 20*time.Minute)
	if err != nil {
		return err
	}
	right, err := awaitStatuses(ctx, l, observer, l.patience)
	if err != nil {
		return err
	}
	to, err := l.read(ctx)
	if err != nil {
		return err
	}
	span, count, took := between(from, to), float64(n), last.Sub(began).Seconds()
	r.add(kind.name+": credentials", count, "")
	r.add(kind.name+": until /readyz says so", ready.Seconds(), "s")
	if kind.vendor == singleUse.vendor {
		r.judge(kind.name+": until all have a token", took, "s", raw.seconds(coldStart.Seconds()))
	} else {
		r.add(kind.name+": until all have a token", took, "s")
	}
	r.add(kind.name+": from there until all statuses say so", max(right.Sub(last), 0).Seconds(), "s")
	r.add(kind.name+": status behind its target, p99", quantile(0.99, observer.forgetLags()), "s")
	r.add(kind.name+": tokens a second", count/took, "/s")
	r.judge(kind.name+": calls per credential", (to.calls.all-from.calls.all)/count, "", atMost(1))
	r.add(kind.name+": writes per credential", span.asked.writes()/count, "")
	r.add(kind.name+": processor time per credential, operator", 1000*to.processor["manager"]/count, "ms")
	r.add(kind.name+": processor time, the harness", span.share(harness), "% of one processor")
	r.note("%s: requests per credential: %s; %s", kind.name, span.asked.per(count), span.machine())
	return nil
}
