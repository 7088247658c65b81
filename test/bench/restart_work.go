// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// wave is how many short-lived credentials are due together when the operator is
	// killed in the middle of their renewals.
	wave = 3000
	// rightAfterRestart is how long after it is ready an operator may take for the
	// statuses that the one before left unwritten.
	rightAfterRestart = 10 * time.Second
)

// observation is what the targets and the statuses say, and how often the provider was
// asked, at one time.
type observation struct {
	targets  map[types.NamespacedName]seenTarget
	statuses map[types.NamespacedName]seenStatus
	attempts map[string]int
}

// restartInFullWork lets a wave of renewals fall due while no operator runs, so that
// the next one is in full work from its first second, kills it when half of them are
// done, and looks at what its successor does to those that were fresh by then.
func restartInFullWork(ctx context.Context, l *lab, r *result, o *observer, half int) error {
	n, err := makeWave(ctx, l, o, half)
	if err != nil {
		return err
	}
	if err := l.watchFor(ctx, l.lifetime*80/100, "no operator runs"); err != nil {
		return err
	}
	o.forget()
	began := time.Now()
	if _, err := l.start(ctx); err != nil {
		return err
	}
	if err := awaitHalf(ctx, l, o, n); err != nil {
		return err
	}
	l.kill()
	killed, err := standstill(ctx, l, o)
	if err != nil {
		return err
	}
	fresh, unwritten := killed.fresh(func(target seenTarget) bool {
		return target.since.After(began) || target.expires.Sub(began) > l.lifetime
	})
	r.add("in full work: credentials of which renewals are due", float64(n), "")
	r.add("in full work: credentials fresh at the kill", float64(len(fresh)), "")
	r.judge("in full work: their statuses unwritten at the kill (0: it was at rest)", float64(unwritten), "", atLeast(1))
	return succeed(ctx, l, r, o, killed, fresh)
}

// makeWave makes short-lived credentials, gets them their first tokens, and kills the
// operator.
func makeWave(ctx context.Context, l *lab, o *observer, half int) (int, error) {
	each := l.number(wave / 2)
	for _, kind := range kinds {
		p, err := shortLived(ctx, l, population{vendor: kind.vendor, first: half, count: each}, l.lifetime)
		if err != nil {
			return 0, err
		}
		if err := populate(ctx, l, p); err != nil {
			return 0, err
		}
	}
	if _, err := awaitTokens(ctx, l, o, 2*half+2*each, 5*time.Minute); err != nil {
		return 0, err
	}
	_, err := awaitStatuses(ctx, l, o, l.patience)
	l.kill()
	return 2 * each, err
}

// awaitHalf waits until half of the wave is renewed, and then for a moment at which
// a status is behind, while there is such a moment.
func awaitHalf(ctx context.Context, l *lab, o *observer, n int) error {
	return l.awaitEvery(ctx, 5*time.Millisecond, "half of the renewals are done", 2*time.Minute, func(context.Context) (bool, string, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		done := len(o.replacements)
		so := 2*done >= n && len(o.agreement.stale) > 0 || 10*done >= 9*n
		return so, fmt.Sprintf("%d of %d renewed", done, n), o.failure
	})
}

// standstill looks at everything while no operator runs, once the watches have
// brought what there is.
func standstill(ctx context.Context, l *lab, o *observer) (*observation, error) {
	if err := pause(ctx, time.Second); err != nil {
		return nil, err
	}
	m := &observation{}
	var err error
	if m.targets, m.statuses, err = o.snapshot(); err != nil {
		return nil, err
	}
	m.attempts, err = l.simulator.attempts(ctx)
	return m, err
}

// fresh are the credentials whose token is, and how many of their statuses do not
// say so.
func (m *observation) fresh(is func(seenTarget) bool) (names []types.NamespacedName, unwritten int) {
	for name, target := range m.targets {
		if !is(target) {
			continue
		}
		names = append(names, name)
		if !agrees(m.statuses[name], target) {
			unwritten++
		}
	}
	return names, unwritten
}

// succeed starts the next operator and counts what it does to those that are fresh.
func succeed(ctx context.Context, l *lab, r *result, o *observer, before *observation, fresh []types.NamespacedName) error {
	from, err := l.read(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := l.start(ctx); err != nil {
		return err
	}
	ready := time.Now()
	length := min(quietAfterRestart, l.lifetime/4) // the first renewed are due again after that
	right, err := awaitStatuses(ctx, l, o, length)
	took := max(right.Sub(ready), 0).Seconds()
	if errors.Is(err, errGaveUp) {
		took, err = math.NaN(), nil
	}
	if err != nil {
		return err
	}
	if err := l.watchFor(ctx, length-time.Since(began), "restarted in full work"); err != nil {
		return err
	}
	to, err := l.read(ctx)
	if err != nil {
		return err
	}
	after := &observation{}
	if after.targets, after.statuses, err = o.snapshot(); err != nil {
		return err
	}
	if after.attempts, err = l.simulator.attempts(ctx); err != nil {
		return err
	}
	d := difference(before, after, fresh)
	r.judge("in full work: calls to the provider for fresh ones", float64(d.calls), "", atMost(0))
	r.judge("in full work: targets of fresh ones that changed", float64(d.targets), "", atMost(0))
	r.judge("in full work: statuses of fresh ones rewritten that were right", float64(d.needless), "", atMost(0))
	r.add("in full work: statuses of fresh ones written that were not", float64(d.owed), "")
	r.judge("in full work: until all statuses are right, after /readyz says so", took, "s", atMost(rightAfterRestart.Seconds()))
	r.add("in full work: statuses that do not agree with their targets at the end", float64(o.staleStatuses()), "")
	expired, _, err := o.behind(time.Now(), 0)
	r.add("in full work: tokens expired at the end", float64(expired), "")
	span := between(from, to)
	r.note("in full work: in %.0f s after it: %.0f tokens published, requests %s", span.seconds(), span.published(), span.asked.per(1))
	r.note("in full work: a single-use refresh whose reply the kill cut off may wait for a person, and its token expires")
	return err
}

// deeds are what became of credentials that were fresh.
type deeds struct{ calls, targets, needless, owed int }

// difference counts what was done between two moments to some credentials. A status
// that was wrong may be written once; each further change is needless.
func difference(before, after *observation, names []types.NamespacedName) deeds {
	var d deeds
	for _, name := range names {
		d.calls += after.attempts[grantOf(name)] - before.attempts[grantOf(name)]
		d.targets += after.targets[name].tokens - before.targets[name].tokens
		changes := after.statuses[name].changes - before.statuses[name].changes
		if changes > 0 && !agrees(before.statuses[name], before.targets[name]) {
			d.owed++
			changes--
		}
		d.needless += changes
	}
	return d
}
