// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// measureAppSecret counts, by the API server's audit log, how often the one app
// Secret is read, over the first refresh of many credentials and further ones.
func measureAppSecret(ctx context.Context, l *lab) (*result, error) {
	n := l.number(1000)
	if err := populate(ctx, l, population{vendor: simulator.MCS, renewal: always(), count: n}); err != nil {
		return nil, err
	}
	from, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := l.start(ctx); err != nil {
		return nil, err
	}
	err = l.await(ctx, "each credential has been refreshed three times", 10*time.Minute, func(ctx context.Context) (bool, string, error) {
		counted, err := l.simulator.counts(ctx)
		done := counted.refreshes - from.calls.refreshes
		return done >= float64(3*n), fmt.Sprintf("%.0f of %d refreshes", done, 3*n), err
	})
	if err != nil {
		return nil, err
	}
	to, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	reads, err := l.cluster.appReads()
	if err != nil {
		return nil, err
	}
	refreshes := to.calls.refreshes - from.calls.refreshes
	r := &result{}
	r.add("credentials that share an app Secret", float64(n), "")
	r.add("refreshes", refreshes, "")
	r.judge("reads of the app Secret", float64(reads), "", atMost(1))
	r.add("reads of any Secret per refresh", to.api.since(from.api)[request{"GET", "secrets"}]/refreshes, "")
	return r, nil
}
