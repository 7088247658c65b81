// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

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
	return between(from, to), <-ended
}

func between(from, to *reading) *span {
	s := &span{from: from, to: to, asked: to.api.since(from.api)}
	s.busy = 1 - (to.idle-from.idle)/(s.seconds()*float64(thisMachine().Processors))
	return s
}

func (s *span) seconds() float64 { return s.to.at.Sub(s.from.at).Seconds() }

// published are the tokens that came to a target.
func (s *span) published() float64 { return s.to.published - s.from.published }
func (s *span) rate() float64      { return s.published() / s.seconds() }

// granted are the tokens that the provider gave.
func (s *span) granted() float64 { return s.to.calls.refreshes - s.from.calls.refreshes }

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

// statuses written for each refresh.
func (s *span) statuses() float64 {
	return s.asked.writesTo("tokencredentials/status") / s.refreshesAsked()
}

// reads of single Secrets for each refresh.
func (s *span) reads() float64 { return s.asked[request{"GET", "secrets"}] / s.refreshesAsked() }

// cost is the processor time that a process used for each token that was published,
// in milliseconds.
func (s *span) cost(process string) float64 {
	return 1000 * (s.to.processor[process] - s.from.processor[process]) / s.published()
}

// everything is all that takes part but the harness.
var everything = []string{"manager", "kube-apiserver", "etcd", "simulator"}

func (s *span) costOfEverything() float64 {
	all := 0.0
	for _, process := range everything {
		all += s.cost(process)
	}
	return all
}

// share that a process had of one processor, in percent.
func (s *span) share(process string) float64 {
	return 100 * (s.to.processor[process] - s.from.processor[process]) / s.seconds()
}

// machine says how busy the machine was, and how much of that was not for this: a
// verdict that others have slowed down says little.
func (s *span) machine() string {
	ours := 0.0
	for _, process := range append([]string{harness}, everything...) {
		ours += s.share(process)
	}
	others := max(100*s.busy-ours/float64(thisMachine().Processors), 0)
	return fmt.Sprintf("the machine was busy to %.0f %%, %.0f %% with what is no part of this (the kernel, other users)", 100*s.busy, others)
}

// report adds what a refresh costs, where a plain client writes raw a second. The
// harness, which watches the targets, stands beside everything.
func (s *span) report(r *result, kind kind, raw float64) {
	r.add(kind.name+": granted by the provider", s.granted()/s.seconds(), "/s")
	r.add(kind.name+": processor time per refresh, operator", s.cost("manager"), "ms")
	const all = ": processor time per refresh, everything"
	if kind.cost > 0 {
		r.judge(kind.name+all, s.costOfEverything(), "ms", processorTime(kind.cost, raw))
	} else {
		r.add(kind.name+all, s.costOfEverything(), "ms")
	}
	r.add(kind.name+": processor time per refresh, the harness, not in everything", s.cost(harness), "ms")
	shares := make([]string, 0, len(everything))
	for _, process := range everything {
		shares = append(shares, fmt.Sprintf("%s %s ms", process, number(rounded(s.cost(process)))))
	}
	r.note("%s: processor time per refresh: %s; %s", kind.name, strings.Join(shares, ", "), s.machine())
	r.note("%s: requests per refresh: %s", kind.name, s.asked.per(s.refreshesAsked()))
	const attempts = "tokenkeeper_refresh_total"
	counted := s.to.manager.sum(attempts, nil) - s.from.manager.sum(attempts, nil)
	good := s.to.manager.sum(attempts, refreshed) - s.from.manager.sum(attempts, refreshed)
	if counted > good {
		r.note("%s: %.0f of %.0f attempts failed", kind.name, counted-good, counted)
	}
	writes := s.writes()
	r.judge(kind.name+": writes per refresh", writes, "", atMost(kind.writes+0.05))
	r.add(kind.name+": of these, statuses", s.statuses(), "")
	r.judge(kind.name+": reads of a Secret per refresh", s.reads(), "", atMost(kind.reads+0.05))
}
