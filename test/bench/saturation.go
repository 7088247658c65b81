// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// saturatedCredentials are due five seconds after each refresh, so they ask for a
// fifth of their number of refreshes a second: more than two processors do.
const saturatedCredentials = 5000

// kind is a provider that is measured.
type kind struct {
	vendor simulator.Vendor
	name   string
	// reads and writes are the most that one refresh may cost, the status included.
	reads, writes float64
	// share of the raw limit, divided by the writes that come before a token is out,
	// that is to be reached.
	share, before float64
	// cost in processor time of everything that is allowed, in ms at goalRate; 0: no goal.
	cost float64
}

// The kinds, by what becomes of a refresh token.
var (
	reusable  = kind{vendor: simulator.MCS, name: "Reusable", reads: 1, writes: 2, share: 0.30, before: 1}
	singleUse = kind{vendor: simulator.Xiaomi, name: "SingleUse", reads: 1, writes: 4, share: 0.38, before: 3, cost: 11.5}
	kinds     = []kind{reusable, singleUse}
)

// goal is what a kind is to reach where a plain client reaches so many writes.
func (k kind) goal(raw float64) goal {
	return atLeast(k.share*raw/k.before).because("%.0f %% of raw / %.0f", 100*k.share, k.before)
}

// measureSaturation lets more be due than can be done. The raw limit differs by a
// third between two minutes of a shared machine, so each kind is measured against
// the mean of what it was right before and right after.
func measureSaturation(ctx context.Context, l *lab) (*result, error) {
	raw, err := rawLimits(ctx, l)
	if err != nil {
		return nil, err
	}
	r := &result{}
	_, parallel := raw.best()
	for _, kind := range kinds {
		if err := renew(ctx, l); err != nil {
			return r, err
		}
		before, err := secretWrites(ctx, l, parallel, l.window/6)
		if err != nil {
			return r, err
		}
		span, waiting, err := saturate(ctx, l, r, kind)
		if err != nil {
			return r, err
		}
		l.kill()
		after, err := secretWrites(ctx, l, parallel, l.window/6)
		if err != nil {
			return r, err
		}
		mean := (before + after) / 2
		r.add(fmt.Sprintf("%s: raw limit, Secrets written, %d at a time", kind.name, parallel), mean, "/s")
		r.note("%s: the raw limit was %.0f before and %.0f after", kind.name, before, after)
		r.judge(kind.name+": tokens published", span.rate(), "/s", kind.goal(mean))
		r.add(kind.name+": share of raw / "+number(kind.before), 100*span.rate()/(mean/kind.before), "%")
		span.report(r, kind, mean)
		r.judge(kind.name+": tokens overdue at the end (0: it was not saturated)", float64(waiting), "", atLeast(1))
		r.add(kind.name+": what a plain client reaches with the same requests", raw.refreshes[kind.name], "/s")
		r.add(kind.name+": share of that", 100*span.rate()/raw.refreshes[kind.name], "%")
	}
	return r, nil
}

// renew gives the scenario another, empty control plane.
func renew(ctx context.Context, l *lab) error {
	if l.manager == nil && l.untouched {
		l.untouched = false
		return nil
	}
	if err := l.close(); err != nil {
		return err
	}
	fresh, err := newLab(ctx, l.suite)
	*l = *fresh
	l.untouched = false
	return err
}

// saturate measures while refreshes are always due, and returns how many wait at the
// end.
func saturate(ctx context.Context, l *lab, r *result, kind kind) (*span, int, error) {
	n := l.number(saturatedCredentials)
	observer, err := l.observe(ctx, false)
	if err != nil {
		return nil, 0, err
	}
	defer observer.end()
	p := population{vendor: kind.vendor, renewal: always(), count: n}
	if err := populate(ctx, l, p); err != nil {
		return nil, 0, err
	}
	if _, err := l.start(ctx); err != nil {
		return nil, 0, err
	}
	if err := warmUp(ctx, l, r, observer, n); err != nil {
		return nil, 0, err
	}
	span, err := l.measure(ctx, l.window, "saturated with "+string(kind.vendor), profileOf(l, string(kind.vendor)))
	if err != nil {
		return nil, 0, err
	}
	waiting, err := observer.lacking(p, alwaysDue+time.Second)
	return span, waiting, err
}

// warmUp waits until every credential has had its first token, which makes what
// later ones change. Under saturation some may wait long for it.
func warmUp(ctx context.Context, l *lab, r *result, o *observer, n int) error {
	err := l.await(ctx, "tokens are published", 10*time.Minute, func(context.Context) (bool, string, error) {
		_, _, published, err := o.tokens()
		return published >= n*3/2, fmt.Sprintf("%d of %d tokens to warm up", published, n*3/2), err
	})
	if err != nil {
		return err
	}
	targets, _, published, err := o.tokens()
	if err != nil || targets >= n {
		return err
	}
	r.note("%d of %d credentials had not got their first token when %d had been published: new ones wait behind old ones", n-targets, n, published)
	_, err = awaitTokens(ctx, l, o, n, 4*time.Minute)
	if errors.Is(err, errGaveUp) {
		r.note("some of them still had none four minutes later, so that first tokens are among those published")
		return nil
	}
	return err
}

// profileOf takes the profiles that the flag asks for.
func profileOf(l *lab, name string) func(context.Context) error {
	if l.profile == "" {
		return nil
	}
	return func(ctx context.Context) error {
		seconds := max(1, int(min(l.window/2, 30*time.Second).Seconds()))
		for path, file := range map[string]string{
			fmt.Sprintf("profile?seconds=%d", seconds): name + ".cpu.pprof",
			"heap":   name + ".heap.pprof",
			"allocs": name + ".allocs.pprof",
		} {
			if err := l.manager.saveProfile(ctx, path, filepath.Join(l.profile, file)); err != nil {
				return fmt.Errorf("save a profile: %w", err)
			}
		}
		return saveServerProfile(ctx, l, seconds, filepath.Join(l.profile, name+".apiserver.cpu.pprof"))
	}
}

// saveServerProfile writes where the API server spends its time: most of what a
// refresh costs is spent there.
func saveServerProfile(ctx context.Context, l *lab, seconds int, file string) error {
	profile, err := l.metrics.Get().AbsPath("/debug/pprof/profile").Param("seconds", strconv.Itoa(seconds)).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("profile the API server: %w", err)
	}
	return os.WriteFile(file, profile, 0o600)
}

var refreshed = map[string]string{"result": v1alpha1.RefreshedReason}
