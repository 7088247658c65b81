// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// reads and writes are the most that one refresh may cost.
	reads, writes float64
}

// The kinds, by what becomes of a refresh token.
var (
	reusable  = kind{simulator.MCS, "Reusable", 1, 2}
	singleUse = kind{simulator.Xiaomi, "SingleUse", 1, 4}
	kinds     = []kind{reusable, singleUse}
)

// measureSaturation lets more be due than can be done.
func measureSaturation(ctx context.Context, l *lab) (*result, error) {
	raw, err := l.rawLimits(ctx)
	if err != nil {
		return nil, err
	}
	r := &result{}
	best, parallel := raw.best()
	r.add(fmt.Sprintf("raw limit: Secrets written, %d at a time", parallel), best, "/s")
	for _, kind := range kinds {
		if err := l.renew(ctx); err != nil {
			return r, err
		}
		span, err := l.saturate(ctx, r, kind.vendor)
		if err != nil {
			return r, err
		}
		span.report(r, kind.name)
		writes := span.writes()
		r.judge(kind.name+": writes per refresh", writes, "", atMost(kind.writes+0.05))
		r.judge(kind.name+": reads of a Secret per refresh", span.reads(), "", atMost(kind.reads+0.05))
		r.judge(kind.name+": share of the raw limit divided by writes per refresh", 100*span.rate()/(best/writes), "%", atLeast(70))
		r.add(kind.name+": what a plain client reaches with the same requests", raw.refreshes[kind.name], "/s")
		r.add(kind.name+": share of that", 100*span.rate()/raw.refreshes[kind.name], "%")
	}
	return r, nil
}

// renew gives the scenario another, empty control plane.
func (l *lab) renew(ctx context.Context) error {
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

// saturate measures while refreshes are always due.
func (l *lab) saturate(ctx context.Context, r *result, vendor simulator.Vendor) (*span, error) {
	n := l.number(saturatedCredentials)
	if err := l.populate(ctx, population{vendor: vendor, renewal: always(), count: n}); err != nil {
		return nil, err
	}
	if _, err := l.start(ctx); err != nil {
		return nil, err
	}
	before, err := l.simulator.counts(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.warmUp(ctx, r, n, before.refreshes); err != nil {
		return nil, err
	}
	return l.measure(ctx, l.window, "saturated with "+string(vendor), l.profileOf(string(vendor)))
}

// warmUp waits until every credential has had its first refresh, which makes what
// later ones change. Under saturation some may wait long for it.
func (l *lab) warmUp(ctx context.Context, r *result, n int, before float64) error {
	refreshes := 0.0
	err := l.await(ctx, "credentials are refreshed", 10*time.Minute, func(ctx context.Context) (bool, string, error) {
		now, err := l.simulator.counts(ctx)
		refreshes = now.refreshes - before
		return refreshes >= 1.5*float64(n), fmt.Sprintf("%.0f of %d refreshes to warm up", refreshes, n*3/2), err
	})
	if err != nil {
		return err
	}
	late, err := l.withoutToken(ctx)
	if err != nil || late == 0 {
		return err
	}
	r.note("%d of %d credentials had not got their first token when %.0f refreshes had been made: new ones wait behind old ones", late, n, refreshes)
	for until := time.Now().Add(2 * time.Minute); late > 0 && time.Now().Before(until) && err == nil; late, err = l.withoutToken(ctx) {
		l.say("  %d credentials without a first token", late)
		if err := pause(ctx, 5*time.Second); err != nil {
			return err
		}
	}
	if late > 0 {
		r.note("%d of them still had none two minutes later", late)
	}
	return err
}

// withoutToken counts the credentials that never had a token.
func (l *lab) withoutToken(ctx context.Context) (int, error) {
	var all v1alpha1.TokenCredentialList
	if err := l.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return 0, err
	}
	n := 0
	for i := range all.Items {
		if all.Items[i].Status.LastRefreshTime == nil {
			n++
		}
	}
	return n, nil
}

// profileOf takes the profiles that the flag asks for.
func (l *lab) profileOf(name string) func(context.Context) error {
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
		return l.saveServerProfile(ctx, seconds, filepath.Join(l.profile, name+".apiserver.cpu.pprof"))
	}
}

// saveServerProfile writes where the API server spends its time: most of what a
// refresh costs is spent there.
func (l *lab) saveServerProfile(ctx context.Context, seconds int, file string) error {
	profile, err := l.metrics.Get().AbsPath("/debug/pprof/profile").Param("seconds", strconv.Itoa(seconds)).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("profile the API server: %w", err)
	}
	return os.WriteFile(file, profile, 0o600)
}

// span is what happened between two readings.
type span struct {
	from, to *reading
	asked    requests
	busy     float64 // share of all processors
}

// measure takes a reading before and one after so much time.
func (l *lab) measure(ctx context.Context, length time.Duration, what string, during func(context.Context) error) (*span, error) {
	from, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		if during == nil {
			ended <- nil
			return
		}
		ended <- during(ctx)
	}()
	if err := l.watchFor(ctx, length, what); err != nil {
		return nil, err
	}
	to, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	s := &span{from: from, to: to, asked: to.api.since(from.api)}
	s.busy = 1 - (to.idle-from.idle)/(s.seconds()*float64(thisMachine().Processors))
	return s, <-ended
}

func (s *span) seconds() float64   { return s.to.at.Sub(s.from.at).Seconds() }
func (s *span) refreshes() float64 { return s.to.calls.refreshes - s.from.calls.refreshes }
func (s *span) rate() float64      { return s.refreshes() / s.seconds() }

// refreshesAsked are those that the requests in asked were made for.
func (s *span) refreshesAsked() float64 { return s.to.refreshes - s.from.refreshes }

// failures are attempts of the operator that ended with the given reason.
func (s *span) failures(reason string) float64 {
	const attempts = "tokenkeeper_refresh_total"
	result := map[string]string{"result": reason}
	return s.to.manager.sum(attempts, result) - s.from.manager.sum(attempts, result)
}

// writes for each refresh.
func (s *span) writes() float64 { return s.asked.writes() / s.refreshesAsked() }

// reads of single Secrets for each refresh.
func (s *span) reads() float64 { return s.asked[request{"GET", "secrets"}] / s.refreshesAsked() }

// processor time that a process used for each refresh, in milliseconds.
func (s *span) cost(process string) float64 {
	return 1000 * (s.to.processor[process] - s.from.processor[process]) / s.refreshes()
}

// report adds what a refresh costs.
func (s *span) report(r *result, kind string) {
	r.add(kind+": refreshes", s.rate(), "/s")
	all := 0.0
	processes := []string{"manager", "kube-apiserver", "etcd", "simulator"}
	for _, process := range processes {
		all += s.cost(process)
	}
	r.add(kind+": processor time per refresh, operator", s.cost("manager"), "ms")
	r.add(kind+": processor time per refresh, everything", all, "ms")
	shares := make([]string, 0, len(processes))
	for _, process := range processes {
		shares = append(shares, fmt.Sprintf("%s %s ms", process, number(rounded(s.cost(process)))))
	}
	r.note("%s: processor time per refresh: %s; the machine was busy to %.0f %%", kind, strings.Join(shares, ", "), 100*s.busy)
	r.note("%s: requests per refresh: %s", kind, s.asked.per(s.refreshesAsked()))
	counted := s.to.manager.sum("tokenkeeper_refresh_total", nil) - s.from.manager.sum("tokenkeeper_refresh_total", nil)
	good := s.to.manager.sum("tokenkeeper_refresh_total", refreshed) - s.from.manager.sum("tokenkeeper_refresh_total", refreshed)
	if counted > good {
		r.note("%s: %.0f of %.0f attempts failed", kind, counted-good, counted)
	}
	depth := s.to.manager.sum("workqueue_depth", map[string]string{"name": "tokencredential"})
	r.judge(kind+": credentials in the queue at the end (0: it was not saturated)", depth, "", atLeast(1))
}

var refreshed = map[string]string{"result": v1alpha1.RefreshedReason}
