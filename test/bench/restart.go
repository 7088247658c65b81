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

// measureRestart ends the operator with SIGKILL while every token is fresh, half
// of them single-use, and starts it again.
func measureRestart(ctx context.Context, l *lab) (*result, error) {
	r := &result{}
	n := 0
	observer, err := l.observe(ctx, false)
	if err != nil {
		return r, err
	}
	defer observer.end()
	for _, kind := range kinds {
		half := l.number(l.credentials / 2)
		if err := l.populate(ctx, population{vendor: kind.vendor, count: half}); err != nil {
			return r, err
		}
		n += half
	}
	if _, err := l.start(ctx); err != nil {
		return r, err
	}
	if _, err := l.awaitReady(ctx, observer, n, 20*time.Minute); err != nil {
		return r, err
	}
	if err := l.awaitQuiet(ctx); err != nil {
		return r, err
	}
	l.kill()

	from, err := l.read(ctx)
	if err != nil {
		return r, err
	}
	began := time.Now()
	ready, err := l.start(ctx)
	if err != nil {
		return r, err
	}
	if err := l.watchFor(ctx, quietAfterRestart-time.Since(began), "restarted"); err != nil {
		return r, err
	}
	to, err := l.read(ctx)
	if err != nil {
		return r, err
	}
	asked := to.api.since(from.api)
	r.add("credentials, half of them SingleUse", float64(n), "")
	r.add("until /readyz says so", ready.Seconds(), "s")
	r.judge("calls to the provider in 30 s", to.calls.all-from.calls.all, "", atMost(0))
	r.judge("writes to the API server in 30 s", asked.writes(), "", atMost(0))
	r.add("reads of single Secrets in 30 s", asked[request{"GET", "secrets"}], "")
	r.add("processor time in 30 s, operator", to.processor["manager"], "s")
	r.note("requests to the API server: %s", asked.per(1))
	return r, nil
}

// awaitQuiet waits until nothing has been written for a while.
func (l *lab) awaitQuiet(ctx context.Context) error {
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
