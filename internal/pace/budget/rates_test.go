// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func credential(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: "team", Name: fmt.Sprintf("credential-%d", n)}
}

func TestNoPeriodSeesMoreCallsThanItsAllowance(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "1,000 due in the same second")
	rapid.Check(t, func(t *rapid.T) {
		allowance := Allowance{
			Requests: rapid.IntRange(1, 50).Draw(t, "requests"),
			Per:      time.Duration(rapid.Int64Range(int64(time.Second), int64(10*time.Minute)).Draw(t, "per")),
		}
		rates, now := &Rates{}, noon
		var calls []time.Time
		for n := range 4 * allowance.Requests {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(allowance.Per)/int64(allowance.Requests)).Draw(t, "pause")))
			if wait := rates.Take("limited", allowance, credential(n), now); wait > 0 {
				now = now.Add(wait)
				if wait = rates.Take("limited", allowance, credential(n), now); wait > 0 {
					t.Fatalf("the wait that was asked for is not enough: %s more", wait)
				}
			}
			calls = append(calls, now)
		}
		for first := range calls {
			if last := first + allowance.Requests; last < len(calls) && calls[last].Sub(calls[first]) < allowance.Per-time.Microsecond {
				t.Fatalf("%d calls within %s, and %d are allowed in %s", allowance.Requests+1, calls[last].Sub(calls[first]), allowance.Requests, allowance.Per)
			}
		}
	})
}

func TestManyWhoComeTogetherAreSpread(t *testing.T) {
	t.Parallel()
	const many = 100
	rates, allowance := &Rates{}, Allowance{Requests: 10, Per: time.Second}
	booked := map[time.Duration]bool{}
	for n := range many {
		wait := rates.Take("limited", allowance, credential(n), noon)
		if wait > 0 && booked[wait] {
			t.Fatalf("two are to come back after %s: one of them in vain", wait)
		}
		booked[wait] = true
	}
	for n := range many {
		if again := rates.Take("limited", allowance, credential(n), noon.Add(time.Minute)); again != 0 {
			t.Fatalf("credential %d comes back when its call is booked and has to wait for another %s", n, again)
		}
	}
}

func TestAnEditedLimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	rates, hourly := &Rates{}, Allowance{Requests: 1, Per: time.Hour}
	if rates.Take("limited", hourly, credential(1), noon) != 0 || rates.Take("limited", hourly, credential(2), noon) == 0 {
		t.Fatal("one call an hour is one call an hour")
	}
	if wait := rates.Take("limited", Allowance{Requests: 100, Per: time.Second}, credential(2), noon); wait != 0 {
		t.Errorf("the admin has raised the limit, and yet the call waits %s", wait)
	}
}

func TestWhoIsGoneHasNothingBooked(t *testing.T) {
	t.Parallel()
	rates, hourly := &Rates{}, Allowance{Requests: 1, Per: time.Hour}
	rates.Take("limited", hourly, credential(1), noon)
	rates.Take("limited", hourly, credential(2), noon)
	rates.Forget(credential(2))
	if wait := rates.Take("limited", hourly, credential(2), noon); wait <= time.Hour {
		t.Errorf("what was booked before the credential was made again holds: %s", wait)
	}
}

func TestRatesForgetProvidersAndBookingsThatMakeNoDifference(t *testing.T) {
	t.Parallel()
	perSecond, hourly := Allowance{Requests: 10, Per: time.Second}, Allowance{Requests: 1, Per: time.Hour}
	rates := &Rates{}
	rates.Take("idle", perSecond, credential(1), noon)
	rates.Take("spent for an hour", hourly, credential(1), noon)
	rates.Take("booked", hourly, credential(1), noon)
	rates.Take("booked", hourly, credential(2), noon)

	rates.Take("other", perSecond, credential(9), noon.Add(10*time.Minute))
	if got := len(rates.meters); got != 3 || rates.meters["idle"] != nil {
		t.Errorf("%d providers are remembered, want the three of which something is spent or booked", got)
	}
	if wait := rates.Take("spent for an hour", hourly, credential(3), noon.Add(10*time.Minute)); wait < 49*time.Minute {
		t.Errorf("a provider was forgotten before its allowance was there again: the wait is %s", wait)
	}
	rates.Take("other", perSecond, credential(9), noon.Add(24*time.Hour))
	if got := len(rates.meters); got != 1 {
		t.Errorf("a day later %d providers are remembered, want the one that is used", got)
	}
}
