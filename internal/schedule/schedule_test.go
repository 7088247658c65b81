// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var issued = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestRefreshAt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason   string
		lifetime time.Duration
		renewal  Renewal
		latest   time.Duration // after issued; the jitter may make it earlier
	}{
		"80 percent of an hour": {
			"the percentage is of the lifetime granted",
			time.Hour, Renewal{Percentage: 80}, 48 * time.Minute,
		},
		"before wins where it is earlier": {
			"never later than 'before' ahead of expiry",
			time.Hour, Renewal{Percentage: 80, Before: 30 * time.Minute}, 30 * time.Minute,
		},
		"the percentage wins where it is earlier": {
			"the earlier of the two moments counts",
			time.Hour, Renewal{Percentage: 50, Before: time.Minute}, 30 * time.Minute,
		},
		"before almost as long as the lifetime": {
			"what the user wrote holds: seconds after the issue",
			time.Hour, Renewal{Percentage: 80, Before: 59*time.Minute + 40*time.Second}, 20 * time.Second,
		},
		"before as good as the lifetime": {
			"no setting makes a storm of calls: some seconds must pass",
			time.Hour, Renewal{Percentage: 80, Before: time.Hour - time.Millisecond}, 5 * time.Second,
		},
		"before longer than the lifetime": {
			"it asks for what cannot be, and does not count",
			time.Hour, Renewal{Percentage: 80, Before: 2 * time.Hour}, 48 * time.Minute,
		},
		"one percent": {
			"the jitter never eats up the delay",
			time.Hour, Renewal{Percentage: 1}, 36 * time.Second,
		},
		"one second": {
			"even then a second passes between two calls",
			time.Second, Renewal{Percentage: 80}, time.Second,
		},
		"ten years": {
			"a lifetime times a percentage does not overflow",
			87600 * time.Hour, Renewal{Percentage: 99}, 87600 * time.Hour / 100 * 99,
		},
		"two seconds": {
			"the shortest lifetimes still work, on whole seconds",
			2 * time.Second, Renewal{Percentage: 80}, 1600 * time.Millisecond,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := RefreshAt(token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(c.lifetime)}, c.renewal, "uid").Sub(issued)
			from := max((c.latest - min(c.latest/10, 5*time.Minute)).Truncate(time.Second), time.Second)
			if got > c.latest || got < from {
				t.Errorf("%s: got %s, want from %s to %s", c.reason, got, from, c.latest)
			}
		})
	}
}

func TestRefreshAtKeepsItsPromisesForEveryInput(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lifetime := time.Duration(rapid.Int64Range(int64(10*time.Second), int64(87600*time.Hour)).Draw(t, "lifetime"))
		renewal := Renewal{
			Percentage: rapid.Int32Range(1, 99).Draw(t, "percentage"),
			Before:     time.Duration(rapid.Int64Range(0, int64(2*lifetime)).Draw(t, "before")),
		}
		seed := rapid.String().Draw(t, "seed")
		validity := token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(lifetime)}
		got := RefreshAt(validity, renewal, seed)
		if again := RefreshAt(validity, renewal, seed); !again.Equal(got) {
			t.Fatalf("the same inputs gave %s and then %s: a restart would move it", got, again)
		}
		if !got.Before(validity.ExpiresAt) || got.Before(issued) {
			t.Fatalf("%s is not within the token's life", got)
		}
		floor := issued.Add(max(time.Second, min(lifetime/10, 5*time.Second)))
		if got.Before(floor.Truncate(time.Second)) {
			t.Fatalf("%s is earlier than %s, and so a storm of calls", got, floor)
		}
		latest := issued.Add(lifetime / 100 * time.Duration(renewal.Percentage))
		if renewal.Before > 0 && renewal.Before < lifetime {
			latest = issued.Add(min(latest.Sub(issued), lifetime-renewal.Before))
		}
		if got.After(latest) && got.After(floor) {
			t.Fatalf("%s is later than %s, which the two bounds allow", got, latest)
		}
		if tenth := min(latest.Sub(issued)/10, maxJitter); got.Before(latest.Add(-tenth).Truncate(time.Second)) {
			t.Fatalf("%s is earlier than the jitter explains, from %s", got, latest)
		}
	})
}

func TestJitterSpreadsCredentialsThatBeganTogether(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "1,000 due in the same second")
	const credentials, slots = 10_000, 10
	var filled [slots]int
	for i := range credentials {
		jitter := Jitter(time.Hour, fmt.Sprintf("9f6c2c1e-0000-4000-8000-%012d", i))
		if jitter < 0 || jitter >= maxJitter {
			t.Fatalf("a jitter of %s is out of bounds", jitter)
		}
		filled[jitter*slots/maxJitter]++
	}
	for slot, n := range filled {
		if n < credentials/slots*8/10 || n > credentials/slots*12/10 {
			t.Errorf("slot %d holds %d of %d: similar UIDs must spread evenly", slot, n, credentials)
		}
	}
}

func TestStartsSpreadOverTheSecondBeforeTheyAreDue(t *testing.T) {
	t.Parallel()
	const credentials, slots = 10_000, 10
	for _, each := range []struct {
		name        string
		delay, span time.Duration
	}{
		{"an hour's token", 48 * time.Minute, time.Second},
		{"a token that lives for seconds", 20 * time.Second, 200 * time.Millisecond},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			due := issued.Add(each.delay)
			var filled [slots]int
			for i := range credentials {
				seed := fmt.Sprintf("9f6c2c1e-0000-4000-8000-%012d", i)
				start := StartAt(token.Validity{IssuedAt: issued}, due, seed)
				if again := StartAt(token.Validity{IssuedAt: issued}, due, seed); !again.Equal(start) {
					t.Fatalf("the same inputs gave %s and then %s: a restart would move it", start, again)
				}
				early := due.Sub(start)
				if early < 0 || early >= each.span {
					t.Fatalf("a start %s before it is due is out of bounds: status names another second", early)
				}
				filled[early*slots/each.span]++
			}
			for slot, n := range filled {
				if n < credentials/slots*8/10 || n > credentials/slots*12/10 {
					t.Errorf("slot %d holds %d of %d: what is due in one second must not come at once", slot, n, credentials)
				}
			}
		})
	}
}

func TestRetryAt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		failures   int32
		retryAfter time.Duration
		from, to   time.Duration
	}{
		"the first failure":       {"the first retry comes soon", 1, 0, time.Second, 3 * time.Second},
		"no failure counted":      {"a status that lost its count still backs off", 0, 0, time.Second, 3 * time.Second},
		"the fifth failure":       {"the pause doubles with each failure", 5, 0, 16 * time.Second, 21 * time.Second},
		"many failures":           {"the pause has an end", 60, 0, 5 * time.Minute, 5*time.Minute + 76*time.Second},
		"the provider asks":       {"Retry-After is honoured", 1, time.Minute, time.Minute, 76 * time.Second},
		"the provider asks less":  {"our own pause stands where it is longer", 9, time.Second, 256 * time.Second, 321 * time.Second},
		"a provider asks forever": {"a header must not put a credential to sleep for good", 1, 10000 * time.Hour, 24 * time.Hour, 31 * time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := RetryAt(issued, c.failures, c.retryAfter, "uid").Sub(issued)
			if got < c.from || got > c.to {
				t.Errorf("%s: got %s, want from %s to %s", c.reason, got, c.from, c.to)
			}
			if got%time.Second != 0 {
				t.Errorf("%s is not on a whole second, so status would tell another time", got)
			}
		})
	}
}

func TestFromFuture(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		ahead  time.Duration
		want   bool
	}{
		"a minute ago":           {"what is past is past", -time.Minute, false},
		"now":                    {"the same moment is not ahead", 0, false},
		"half a minute ahead":    {"two machines' clocks differ by seconds", 30 * time.Second, false},
		"a minute ahead":         {"the bound itself still counts as right", time.Minute, false},
		"an hour ahead":          {"no clocks that are kept in time differ so much", time.Hour, true},
		"never, the zero moment": {"nothing was noted", -issued.Sub(time.Time{}), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := FromFuture(issued.Add(c.ahead), issued); got != c.want {
				t.Errorf("%s: got %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestWake(t *testing.T) {
	t.Parallel()
	soon, later := issued.Add(time.Second), issued.Add(time.Hour)
	cases := map[string]struct {
		reason  string
		moments []time.Time
		want    time.Time
	}{
		"nothing planned":  {"no moment at all is no wake", nil, time.Time{}},
		"only unset ones":  {"an unset moment is none", []time.Time{{}, {}}, time.Time{}},
		"the earliest":     {"the first thing that happens wakes", []time.Time{later, soon}, soon},
		"one is not set":   {"an unset moment is not the earliest", []time.Time{{}, later}, later},
		"the same instant": {"two at once are one", []time.Time{soon, soon}, soon},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Wake(c.moments...); !got.Equal(c.want) {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestAProviderThatRefusesEarlyRenewalsIsAskedAfterThat(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason   string
		lifetime time.Duration
		renewal  Renewal
		from, to time.Duration // after issued
	}{
		"the percentage is later": {
			"nothing is moved that comes late enough",
			time.Hour, Renewal{Percentage: 80, Earliest: 50}, 43 * time.Minute, 48 * time.Minute,
		},
		"the percentage is earlier": {
			"the provider would refuse it",
			time.Hour, Renewal{Percentage: 10, Earliest: 50}, 30 * time.Minute, 33 * time.Minute,
		},
		"both are the same": {
			"the jitter, which is only ever earlier elsewhere, is later here",
			time.Hour, Renewal{Percentage: 90, Earliest: 90}, 54 * time.Minute, 55 * time.Minute,
		},
		"before is earlier": {
			"the provider would refuse it",
			time.Hour, Renewal{Percentage: 80, Before: 50 * time.Minute, Earliest: 75}, 45 * time.Minute, 47 * time.Minute,
		},
		"atLeastEvery is earlier": {
			"the provider would refuse it",
			100 * time.Hour, Renewal{Percentage: 80, AtLeastEvery: time.Hour, Earliest: 50}, 50 * time.Hour, 50*time.Hour + 5*time.Minute,
		},
		"a token of two seconds": {
			"its end is the last moment that there is",
			2 * time.Second, Renewal{Percentage: 80, Earliest: 90}, 1800 * time.Millisecond, 2 * time.Second,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 200 {
				seed := fmt.Sprint("uid-", i)
				validity := token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(c.lifetime)}
				due := RefreshAt(validity, c.renewal, seed)
				if got := due.Sub(issued); got < c.from || got > c.to+time.Second {
					t.Fatalf("%s: got %s, want from %s to %s", c.reason, got, c.from, c.to)
				}
				floor := issued.Add(c.lifetime / 100 * time.Duration(c.renewal.Earliest))
				if start := StartAt(validity, due, seed); start.Before(floor) && c.lifetime > 10*time.Second {
					t.Fatalf("it starts at %s, before %s: %s", start, floor, c.reason)
				}
			}
		})
	}
}

func TestAGrantIsKeptAliveThoughItsTokenLivesLonger(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason   string
		lifetime time.Duration
		renewal  Renewal
		latest   time.Duration // after issued; the jitter may make it earlier
	}{
		"the token lives longer":  {"the grant ends unless it is used", 365 * 24 * time.Hour, Renewal{Percentage: 80, AtLeastEvery: 24 * time.Hour}, 24 * time.Hour},
		"the token lives shorter": {"its end comes first", time.Hour, Renewal{Percentage: 80, AtLeastEvery: 24 * time.Hour}, 48 * time.Minute},
		"a second":                {"no setting makes a storm of calls", time.Hour, Renewal{Percentage: 80, AtLeastEvery: time.Second}, 5 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := RefreshAt(token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(c.lifetime)}, c.renewal, "uid").Sub(issued)
			if from := c.latest - min(c.latest/10, 5*time.Minute) - time.Second; got > c.latest || got < from {
				t.Errorf("%s: got %s, want from %s to %s", c.reason, got, from, c.latest)
			}
		})
	}
}

func TestATokenThatWasGivenAgainIsRenewedAtItsEnd(t *testing.T) {
	t.Parallel()
	issued := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for lifetime, c := range map[time.Duration]struct {
		reason string
		atEnd  bool
	}{
		time.Second:      {"the server has no other", true},
		3 * time.Second:  {"the server has no other", true},
		ShortLifetime:    {"no kubelet would deliver one in time", true},
		10 * time.Minute: {"the server may have another some time before the end, and there is time to ask", false},
	} {
		validity := token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(lifetime), Repeated: true}
		due := RefreshAt(validity, Renewal{Percentage: 80}, "uid")
		if due.Equal(validity.ExpiresAt) != c.atEnd {
			t.Errorf("%s: due %s after the issue: %s", lifetime, due.Sub(issued), c.reason)
		}
		if start := StartAt(validity, due, "uid"); c.atEnd && !start.Equal(due.Add(time.Second)) {
			t.Errorf("%s: it starts %s after its end, which is known to the second: a server that cuts it gives the token again", lifetime, start.Sub(due))
		}
	}
}

func TestARenewalComesBeforeTheEndOfTheGrant(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a refresh token that ends before its access token")
	issued := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	hour := token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)}
	for grant, c := range map[time.Duration]struct {
		reason   string
		from, to time.Duration
	}{
		0:                {"nothing is known of it", 43 * time.Minute, 48 * time.Minute},
		-time.Hour:       {"a token was obtained behind it: it is no end", 43 * time.Minute, 48 * time.Minute},
		24 * time.Hour:   {"the access token ends first", 43 * time.Minute, 48 * time.Minute},
		20 * time.Second: {"the same margin as before the access token's end", 14 * time.Second, 16 * time.Second},
		30 * time.Minute: {"the same margin", 21 * time.Minute, 24 * time.Minute},
		2 * time.Second:  {"too short to be managed, and no storm of calls", 43 * time.Minute, 48 * time.Minute},
	} {
		renewal := Renewal{Percentage: 80}
		if grant != 0 {
			renewal.GrantEndsAt = issued.Add(grant)
		}
		if due := RefreshAt(hour, renewal, "uid").Sub(issued); due < c.from || due > c.to {
			t.Errorf("a grant of %s: due after %s, want %s to %s: %s", grant, due, c.from, c.to, c.reason)
		}
	}
	renewal := Renewal{Percentage: 80, Before: 10 * time.Second, GrantEndsAt: issued.Add(40 * time.Second)}
	if due := RefreshAt(hour, renewal, "uid").Sub(issued); due > 30*time.Second {
		t.Errorf("due after %s: spec.renewal.before counts there, too", due)
	}
}
