// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// measureSteady watches renewals that come evenly, first those of tokens that may
// be sent again, then of those that work once. Where a kind misses its goals it is
// measured again with as many credentials as this machine carries.
func measureSteady(ctx context.Context, l *lab) (*result, error) {
	raw, err := rawLimits(ctx, l)
	if err != nil {
		return nil, err
	}
	r := &result{}
	best, _ := raw.best()
	for _, kind := range kinds {
		n := l.number(l.credentials)
		needed := float64(n) / l.cycle().Seconds()
		r.note("%s: %d credentials of %s ask for about %.0f refreshes and %.0f writes a second; the raw limit is %.0f writes",
			kind.name, n, l.lifetime, needed, needed*kind.writes, best)
		if needed*kind.writes > best*hopeless {
			n = l.perCycle(best * carried / kind.writes)
			needed = float64(n) / l.cycle().Seconds()
			r.note("%s: that is more than this machine does beside all else, so %d credentials are measured", kind.name, n)
		}
		met, rate, err := measureSteadyAt(ctx, l, r, kind.name, kind.vendor, n)
		if err != nil {
			return r, err
		}
		if !met {
			fewer := l.perCycle(0.8 * min(rate, needed))
			r.note("%s: measured again with %d credentials, 80 %% of what was carried", kind.name, fewer)
			if _, _, err := measureSteadyAt(ctx, l, r, kind.name, kind.vendor, fewer); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// Shares of the raw limit: to ask for more writes than the first is surely too much for
// one machine that holds everything, the second it carries.
const (
	hopeless = 0.3
	carried  = 0.2
)

// perCycle is how many credentials ask for so many refreshes a second.
func (s *settings) perCycle(rate float64) int {
	return max(int(rate*s.cycle().Seconds()/10)*10, 10)
}

// cycle is how long after its issue a token is renewed on average: 80 % of its
// lifetime, less half of the most jitter.
func (s *settings) cycle() time.Duration { return s.lifetime * 76 / 100 }

// oldest is the age beyond which no token should get: 80 % of its lifetime, a
// second for the whole seconds of a plan and one for the doing.
func (s *settings) oldest() time.Duration { return s.lifetime*80/100 + 2*time.Second }

// evenly starts the manager and makes credentials over four cycles, slowly at first
// and at the end, so that the renewals come evenly from then on. Made at one pace they
// would come in waves: a first token costs more than a renewal, and at the end both
// together are more than the machine does; what waits then is due together ever after.
func evenly(ctx context.Context, l *lab, vendor simulator.Vendor, n int) (*observer, error) {
	p, err := shortLived(ctx, l, population{vendor: vendor, count: n, spread: 4 * l.cycle()}, l.lifetime)
	if err != nil {
		return nil, err
	}
	if _, err := l.start(ctx); err != nil {
		return nil, err
	}
	observer, err := l.observe(ctx, true)
	if err != nil {
		return nil, err
	}
	if err := populate(ctx, l, p); err != nil {
		return nil, err
	}
	if _, err := awaitTokens(ctx, l, observer, n, l.lifetime+time.Minute); errors.Is(err, errGaveUp) {
		l.say("  %v: going on all the same", err)
	} else if err != nil {
		return nil, err
	}
	return observer, awaitEvenness(ctx, l, observer)
}

// awaitEvenness waits until no token is overdue and nobody has had to wait for a
// while: making credentials and their first tokens costs more than renewals do, and
// what that leaves behind is not what is to be measured. Where there is no end to it,
// there is none.
func awaitEvenness(ctx context.Context, l *lab, o *observer) error {
	const few, calm = 20, 10 // in the queue, at so many looks in a row
	looks := 0
	err := l.awaitEvery(ctx, time.Second, "renewals come evenly", 2*l.lifetime, func(ctx context.Context) (bool, string, error) {
		scraped, err := l.scrape(ctx)
		if err != nil {
			return false, "", err
		}
		_, overdue, err := o.behind(time.Now(), l.oldest())
		depth := scraped.sum("workqueue_depth", nil) // 0 where the operator has queues of another kind
		if looks++; depth > few || overdue > 0 {
			looks = 0
		}
		return looks >= calm, fmt.Sprintf("warming up: %.0f credentials in the queue, %d tokens overdue", depth, overdue), err
	})
	if errors.Is(err, errGaveUp) {
		l.say("  %v: going on all the same", err)
		return nil
	}
	return err
}

// measureSteadyAt measures with so many credentials of a kind, and reports whether the goals
// were met and how many refreshes a second there were.
func measureSteadyAt(ctx context.Context, l *lab, r *result, kind string, vendor simulator.Vendor, n int) (met bool, rate float64, err error) {
	if err := renew(ctx, l); err != nil {
		return false, 0, err
	}
	observer, err := evenly(ctx, l, vendor, n)
	if err != nil {
		return false, 0, err
	}
	defer observer.end()
	early := observer.forget()
	observer.forgetLags()
	span, err := l.measure(ctx, l.lifetime*3/2, fmt.Sprintf("%d steady credentials of %s", n, vendor), nil)
	if err != nil {
		return false, 0, err
	}
	seen := observer.forget()
	expired, err := observer.everExpired(append(early, seen...))
	if err != nil {
		return false, 0, err
	}

	const lateness = "tokenkeeper_refresh_lateness_seconds"
	before, after := span.from.manager.buckets(lateness), span.to.manager.buckets(lateness)
	p99 := bucketQuantile(0.99, before, after)
	kind = fmt.Sprintf("%s, %d", kind, n)
	r.add(kind+": refreshes", span.rate(), "/s")
	r.add(kind+": lateness p50, by the operator", bucketQuantile(0.5, before, after), "s")
	r.judge(kind+": lateness p99, by the operator", p99, "s", atMost(1))
	r.add(kind+": lateness max at most, by the operator", bucketQuantile(1, before, after), "s")
	late, age := latenessOf(seen), agesOf(seen, l.lifetime)
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"max", 1}} {
		r.add(kind+": target replaced after due, "+q.name, quantile(q.share, late), "s")
	}
	r.add(kind+": age of a token when replaced, p50", quantile(0.5, age), "% of its lifetime")
	r.add(kind+": age of a token when replaced, max", quantile(1, age), "% of its lifetime")
	r.add(kind+": tokens whose time due no status told", float64(len(seen)-len(late)), "")
	r.add(kind+": status behind its target, p99", quantile(0.99, observer.forgetLags()), "s")
	r.judge(kind+": tokens ever expired in a target", float64(expired), "", atMost(0))
	r.add(kind+": operator", span.share("manager"), "% of one processor")
	r.add(kind+": the harness", span.share(harness), "% of one processor")
	r.note("%s: requests per refresh: %s; %s", kind, span.asked.per(span.refreshesAsked()), span.machine())
	if n := len(seen); n == 0 {
		return false, 0, fmt.Errorf("no target of %d was replaced", n)
	}
	return p99 <= 1 && expired == 0, span.rate(), nil
}

// latenessOf is how long after the time that the status had named a target was
// replaced, in seconds.
func latenessOf(seen []replacement) []float64 {
	var all []float64
	for _, each := range seen {
		if !each.due.IsZero() {
			all = append(all, each.at.Sub(each.due).Seconds())
		}
	}
	return all
}

// agesOf are the ages of replaced tokens in percent of their lifetime.
func agesOf(seen []replacement, lifetime time.Duration) []float64 {
	var all []float64
	for _, each := range seen {
		all = append(all, 100*each.age.Seconds()/lifetime.Seconds())
	}
	return all
}
