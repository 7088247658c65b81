// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// quietAfterRestart is how long after its start a restarted operator is watched.
const quietAfterRestart = 30 * time.Second

// measureRestart ends the operator with SIGKILL and starts it again: first while
// every token is fresh, half of them single-use, and nothing is to be done; then in
// the middle of the renewals of others.
func measureRestart(ctx context.Context, l *lab) (*result, error) {
	r := &result{}
	observer, err := l.observe(ctx, true)
	if err != nil {
		return r, err
	}
	defer observer.end()
	half := l.number(l.credentials / 2)
	for _, kind := range kinds {
		if err := populate(ctx, l, population{vendor: kind.vendor, count: half}); err != nil {
			return r, err
		}
	}
	if _, err := l.start(ctx); err != nil {
		return r, err
	}
	if err := awaitAll(ctx, l, observer, 2*half, 20*time.Minute); err != nil {
		return r, err
	}
	if err := awaitQuiet(ctx, l); err != nil {
		return r, err
	}
	l.kill()
	r.add("credentials, half of them SingleUse", float64(2*half), "")
	if err := restartAtRest(ctx, l, r); err != nil {
		return r, err
	}
	return r, restartInFullWork(ctx, l, r, observer, half)
}

// restartAtRest starts the operator with nothing to do.
func restartAtRest(ctx context.Context, l *lab, r *result) error {
	from, err := l.read(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	ready, err := l.start(ctx)
	if err != nil {
		return err
	}
	if err := l.watchFor(ctx, quietAfterRestart-time.Since(began), "restarted at rest"); err != nil {
		return err
	}
	to, err := l.read(ctx)
	if err != nil {
		return err
	}
	asked := to.api.since(from.api)
	r.add("at rest: until /readyz says so", ready.Seconds(), "s")
	r.judge("at rest: calls to the provider in 30 s", to.calls.all-from.calls.all, "", atMost(0))
	r.judge("at rest: writes to the API server in 30 s", asked.writes(), "", atMost(0))
	r.add("at rest: reads of single Secrets in 30 s", asked[request{"GET", "secrets"}], "")
	r.add("at rest: processor time in 30 s, operator", to.processor["manager"], "s")
	r.note("at rest: requests to the API server: %s", asked.per(1))
	return nil
}

// awaitQuiet waits until nothing has been written for a while.
func awaitQuiet(ctx context.Context, l *lab) error {
	const quiet = 5 * time.Second
	for range 60 {
		from, err := l.read(ctx)
		if err != nil {
			return err
		}
		if err := pause(ctx, quiet); err != nil {
			return err
		}
		to, err := l.read(ctx)
		if err != nil {
			return err
		}
		if to.api.since(from.api).writes() == 0 {
			return nil
		}
	}
	return fmt.Errorf("the operator goes on writing although all is fresh")
}
