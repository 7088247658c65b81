// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// measureTenant watches the renewals of one tenant while another comes with
// thousands of credentials that fail, each by itself, at the same provider's host:
// the host is well, so nothing but their order and their backoff holds them back.
func measureTenant(ctx context.Context, l *lab) (*result, error) {
	healthy, failing := l.number(1000), l.number(5000)
	observer, err := l.evenly(ctx, simulator.MCS, healthy)
	if err != nil {
		return nil, err
	}
	defer observer.end()
	early := observer.forget()
	span, err := l.measure(ctx, l.lifetime*3/2, "a tenant fails beside another", func(ctx context.Context) error {
		return l.populate(ctx, population{
			vendor: simulator.MCS, first: healthy, count: failing, spread: l.lifetime / 4,
			parameters: map[string]string{"path": "mistyped"},
		})
	})
	if err != nil {
		return nil, err
	}
	seen := observer.forget()
	expired, err := observer.everExpired(append(early, seen...))
	if err != nil {
		return nil, err
	}
	before, lateness := latenessOf(early), latenessOf(seen)
	r := &result{}
	r.add("credentials of the tenant that is well", float64(healthy), "")
	r.add("their renewals meanwhile", float64(len(seen)), "")
	r.add("target replaced after due, p99, before the other came", quantile(0.99, before), "s")
	r.judge("target replaced after due, p99, beside the other", quantile(0.99, lateness), "s", atMost(1))
	r.add("target replaced after due, max, beside the other", quantile(1, lateness), "s")
	r.judge("their tokens ever expired in a target", float64(expired), "", atMost(0))
	r.add("credentials of the tenant that fails", float64(failing), "")
	r.judge("their attempts, each RequestRejected, one at least for each", span.failures("RequestRejected"), "", atLeast(float64(failing)))
	r.note("the machine was busy to %.0f %%, with the making of the credentials that fail in the first %s of %s",
		100*span.busy, l.lifetime/4, l.lifetime*3/2)
	return r, nil
}
