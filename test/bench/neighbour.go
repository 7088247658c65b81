// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	// restlessLifetime is that of tokens that are due as soon as they are there.
	restlessLifetime = 2 * time.Second
	// crowd asks for two to three times as many refreshes as a machine does.
	crowd = 2000
	// newcomers come one after the other while the crowd is served.
	newcomers         = 200
	neighbour         = "neighbour" // their namespace
	neighbourPatience = 2 * time.Second
	// starving ones come all at once, to the namespace of starvers that alone ask for
	// as much as a machine does.
	starvers, starving = 238, 762
)

// startRestless starts the operator with credentials whose tokens live for two seconds, at
// one host, and lets them saturate everything.
func startRestless(ctx context.Context, l *lab, n int) (*observer, population, error) {
	p, err := shortLived(ctx, l, population{vendor: simulator.MCS, count: n}, restlessLifetime)
	if err != nil {
		return nil, p, err
	}
	observer, err := l.observe(ctx, false)
	if err != nil {
		return nil, p, err
	}
	if err := populate(ctx, l, p); err != nil {
		return nil, p, err
	}
	_, err = l.start(ctx)
	return observer, p, err
}

// awaitRestless waits until they have their first tokens, though not for ever, and
// then lets them be for a while.
func awaitRestless(ctx context.Context, l *lab, o *observer, n int) error {
	_, err := awaitTokens(ctx, l, o, n, min(l.patience, time.Minute))
	if errors.Is(err, errGaveUp) {
		l.say("  %v: going on all the same", err)
		err = nil
	}
	return errors.Join(err, l.watchFor(ctx, l.window/6, "they are always due"))
}

// measureNeighbour makes new credentials in one namespace, at the same host, while
// another namespace asks for more than can be done.
func measureNeighbour(ctx context.Context, l *lab) (*result, error) {
	observer, restless, err := startRestless(ctx, l, l.number(crowd))
	if err != nil {
		return nil, err
	}
	defer observer.end()
	if err := l.makeNamespace(ctx, neighbour); err != nil {
		return nil, err
	}
	if err := l.watchFor(ctx, l.window/4, "one namespace saturates everything"); err != nil {
		return nil, err
	}
	from, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	p := population{vendor: simulator.MCS, namespace: neighbour, count: l.number(newcomers)}
	born, err := comeOneByOne(ctx, l, observer, p, l.window)
	if err != nil {
		return nil, err
	}
	to, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	lacking, err := observer.lacking(restless, restlessLifetime)
	if err != nil {
		return nil, err
	}
	waits, unserved, err := awaitFirst(ctx, l, observer, born)
	if err != nil {
		return nil, err
	}
	span := between(from, to)
	r := &result{}
	r.add("credentials that saturate everything", float64(restless.count), "")
	r.add("tokens published a second", span.rate(), "/s")
	r.judge("of them without a token that is good, at the end (0: it was not saturated)", float64(lacking), "", atLeast(1))
	r.add("new credentials of the other namespace", float64(p.count), "")
	r.add("their first token, p50", quantile(0.5, waits), "s")
	r.judge("their first token, p99", quantile(0.99, waits), "s", atMost(neighbourPatience.Seconds()))
	r.add("their first token, max", quantile(1, waits), "s")
	r.judge("of them never served", float64(unserved), "", atMost(0))
	r.add("the harness meanwhile", span.share(harness), "% of one processor")
	r.note("a wait begins before the request that makes the credential is sent; %s", span.machine())
	return r, nil
}

// comeOneByOne makes credentials evenly over so much time, and returns when each was
// begun to be made.
func comeOneByOne(ctx context.Context, l *lab, o *observer, p population, over time.Duration) (map[types.NamespacedName]time.Time, error) {
	tokens, err := grantTokens(ctx, l, p)
	if err != nil {
		return nil, err
	}
	born, began, reported := map[types.NamespacedName]time.Time{}, time.Now(), time.Now()
	for i := range p.count {
		moment := began.Add(over / time.Duration(p.count) * time.Duration(i))
		if err := pause(ctx, max(time.Until(moment), 0)); err != nil {
			return nil, err
		}
		if err := makeSeed(ctx, l, p, i, tokens[i]); err != nil {
			return nil, err
		}
		born[p.key(i)] = time.Now()
		if err := makeCredential(ctx, l, p, i); err != nil {
			return nil, err
		}
		if time.Since(reported) > progressPause {
			reported = time.Now()
			waits, unserved, err := o.waits(born)
			if err != nil {
				return nil, err
			}
			l.say("  %d of %d new credentials made: %d have no token, p99 of the wait so far is %s s", i+1, p.count, unserved, number(quantile(0.99, waits)))
		}
	}
	return born, nil
}

// awaitFirst waits until all have had their first token, and returns how long each
// waited, or has waited where there is no end to it.
func awaitFirst(ctx context.Context, l *lab, o *observer, born map[types.NamespacedName]time.Time) (waits []float64, unserved int, err error) {
	err = l.await(ctx, "all new credentials have a token", l.patience, func(context.Context) (bool, string, error) {
		waits, unserved, err = o.waits(born)
		return unserved == 0, fmt.Sprintf("%d of %d new credentials have no token", unserved, len(born)), err
	})
	if errors.Is(err, errGaveUp) {
		err = nil
	}
	return waits, unserved, err
}

// waits are how long each credential has waited for its first token so far, in
// seconds, and how many are without one.
func (o *observer) waits(born map[types.NamespacedName]time.Time) (waits []float64, unserved int, err error) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, since := range born {
		target, served := o.targets[name]
		if !served {
			unserved++
			target.first = now
		}
		waits = append(waits, target.first.Sub(since).Seconds())
	}
	return waits, unserved, o.failure
}

// measureStarvation adds new credentials to a namespace whose others are always due,
// and ask for as much as can be done.
func measureStarvation(ctx context.Context, l *lab) (*result, error) {
	old, fresh := l.number(starvers), l.number(starving)
	observer, p, err := startRestless(ctx, l, old)
	if err != nil {
		return nil, err
	}
	defer observer.end()
	if err := awaitRestless(ctx, l, observer, old); err != nil {
		return nil, err
	}
	from, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	starved, err := observer.lacking(p, time.Hour)
	if err != nil {
		return nil, err
	}
	p.first, p.count = old, fresh
	born := map[types.NamespacedName]time.Time{}
	began := time.Now()
	for i := range p.count {
		born[p.key(i)] = began
	}
	if err := populate(ctx, l, p); err != nil {
		return nil, err
	}
	made := time.Since(began)
	waits, unserved, err := awaitFirst(ctx, l, observer, born)
	if err != nil {
		return nil, err
	}
	to, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	r := &result{}
	r.add("credentials that are always due", float64(old), "")
	r.add("of them without a token when the new ones came", float64(starved), "")
	r.add("new ones", float64(fresh), "")
	r.add("until these were made", made.Seconds(), "s")
	r.add("first token of a new one after the first was made, p50", quantile(0.5, waits), "s")
	r.add("first token of a new one after the first was made, max", quantile(1, waits), "s")
	r.judge("new ones never served", float64(unserved), "", atMost(0).because("within %s", l.patience))
	span := between(from, to)
	r.add("tokens published a second", span.rate(), "/s")
	r.add("the harness meanwhile", span.share(harness), "% of one processor")
	r.note("%s", span.machine())
	return r, nil
}
