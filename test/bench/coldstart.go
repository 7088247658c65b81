// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"
)

// measureColdStart makes credentials while no operator runs, and starts it.
func measureColdStart(ctx context.Context, l *lab) (*result, error) {
	r := &result{}
	for _, kind := range kinds {
		if err := l.renew(ctx); err != nil {
			return r, err
		}
		n := l.number(l.credentials)
		observer, err := l.observe(ctx, false)
		if err != nil {
			return r, err
		}
		if err := l.populate(ctx, population{vendor: kind.vendor, count: n}); err != nil {
			return r, err
		}
		from, err := l.read(ctx)
		if err != nil {
			return r, err
		}
		began := time.Now()
		ready, err := l.start(ctx)
		if err != nil {
			return r, err
		}
		last, err := l.awaitReady(ctx, observer, n, 20*time.Minute)
		observer.end()
		if err != nil {
			return r, err
		}
		to, err := l.read(ctx)
		if err != nil {
			return r, err
		}
		asked := to.api.since(from.api)
		r.add(kind.name+": credentials", float64(n), "")
		r.add(kind.name+": until /readyz says so", ready.Seconds(), "s")
		r.add(kind.name+": until all are Ready", last.Sub(began).Seconds(), "s")
		r.add(kind.name+": credentials a second", float64(n)/last.Sub(began).Seconds(), "/s")
		r.judge(kind.name+": calls per credential", (to.calls.all-from.calls.all)/float64(n), "", atMost(1))
		r.add(kind.name+": writes per credential", asked.writes()/float64(n), "")
		r.add(kind.name+": processor time per credential, operator", 1000*to.processor["manager"]/float64(n), "ms")
		r.note("%s: requests per credential: %s", kind.name, asked.per(float64(n)))
	}
	return r, nil
}
