// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func limited(requests int, per time.Duration) found {
	return found{Provider: &provider.Provider{RateLimit: &provider.RateLimit{Requests: requests, Per: per}}, key: "BuiltIn/limited"}
}

func TestNoPeriodSeesMoreCallsThanItsAllowance(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "1,000 due in the same second")
	rapid.Check(t, func(t *rapid.T) {
		requests := rapid.IntRange(1, 50).Draw(t, "requests")
		per := time.Duration(rapid.Int64Range(int64(time.Second), int64(10*time.Minute)).Draw(t, "per"))
		p, limits := limited(requests, per), &Limits{}
		now := noon
		var calls []time.Time
		for range 4 * requests {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(per)/int64(requests)).Draw(t, "pause")))
			if wait := limits.reserve(p, now); wait > 0 {
				now = now.Add(wait + time.Microsecond) // x/time/rate computes in floating point
				if wait = limits.reserve(p, now); wait > 0 {
					t.Fatalf("the wait that was asked for is not enough: %s more", wait)
				}
			}
			calls = append(calls, now)
		}
		for first := range calls {
			if last := first + requests; last < len(calls) && calls[last].Sub(calls[first]) < per-time.Microsecond {
				t.Fatalf("%d calls within %s, and %d are allowed in %s", requests+1, calls[last].Sub(calls[first]), requests, per)
			}
		}
	})
}

func TestAProviderWithoutALimitNeverWaits(t *testing.T) {
	t.Parallel()
	limits := &Limits{}
	for range 1000 {
		if wait := limits.reserve(found{Provider: &provider.Provider{}}, noon); wait != 0 {
			t.Fatalf("a provider that declares no limit has none, got %s", wait)
		}
	}
}

func TestAnEditedLimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	limits := &Limits{}
	if limits.reserve(limited(1, time.Hour), noon) != 0 || limits.reserve(limited(1, time.Hour), noon) == 0 {
		t.Fatal("one call an hour is one call an hour")
	}
	if wait := limits.reserve(limited(100, time.Second), noon); wait != 0 {
		t.Errorf("the admin has raised the limit, and yet the call waits %s", wait)
	}
}
