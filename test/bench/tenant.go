// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// measureTenant watches the renewals of one tenant while another comes with
// thousands of credentials that fail, each by itself, at the same provider's host:
// the host is well, so nothing but their order and their backoff holds them back.
func measureTenant(ctx context.Context, l *lab) (*result, error) {
	healthy, failing := l.number(1000), l.number(5000)
	observer, err := evenly(ctx, l, reusable.vendor, healthy)
	if err != nil {
		return nil, err
	}
	defer observer.end()
	early := observer.forget()
	began := time.Now()
	if err := populate(ctx, l, population{
		vendor: reusable.vendor, first: healthy, count: failing, spread: l.lifetime / 4,
		parameters: map[string]string{"path": "mistyped"},
	}); err != nil {
		return nil, err
	}
	if err := awaitFailures(ctx, l, observer, failing); err != nil {
		return nil, err
	}
	wave, first := time.Since(began), observer.forget()
	span, err := l.measure(ctx, l.lifetime*3/2, "a tenant fails beside another", nil)
	if err != nil {
		return nil, err
	}
	seen := observer.forget()
	expired, err := observer.everExpired(slices.Concat(early, first, seen))
	if err != nil {
		return nil, err
	}
	r := &result{}
	r.add("credentials of the tenant that is well", float64(healthy), "")
	r.add("credentials of the tenant that fails", float64(failing), "")
	r.add("until each of these had failed once", wave.Seconds(), "s")
	r.add("their attempts from then on", span.failures("RequestRejected"), "")
	for _, phase := range []struct {
		name string
		seen []replacement
	}{{"before the other came", early}, {"until the other had failed once", first}} {
		r.add("renewals "+phase.name, float64(len(phase.seen)), "")
		r.add("target replaced after due, p99, "+phase.name, quantile(0.99, latenessOf(phase.seen)), "s")
	}
	r.add("renewals beside the other", float64(len(seen)), "")
	r.judge("target replaced after due, p99, beside the other", quantile(0.99, latenessOf(seen)), "s", atMost(1))
	r.add("target replaced after due, max, beside the other", quantile(1, latenessOf(seen)), "s")
	r.judge("tokens ever expired in a target", float64(expired), "", atMost(0))
	r.add("tokens whose time due no status told", float64(len(seen)-len(latenessOf(seen))), "")
	r.add("the harness meanwhile", span.share(harness), "% of one processor")
	r.note("beside the tenant that fails %s", span.machine())
	return r, nil
}

// awaitFailures waits until so many credentials have failed, each once at least.
func awaitFailures(ctx context.Context, l *lab, o *observer, n int) error {
	return l.await(ctx, "each credential of the tenant has failed once", 5*time.Minute, func(context.Context) (bool, string, error) {
		failed, err := o.failed()
		return failed >= n, fmt.Sprintf("%d of %d credentials have failed once", failed, n), err
	})
}
