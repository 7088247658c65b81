// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	// wellNamespace is that of the tenant that is well.
	wellNamespace = "well"
	// wellCredentials are its own, half of them with tokens that work once.
	wellCredentials = 100
	// wellLifetime is the longest that their tokens live.
	wellLifetime = time.Minute
	// mostResident is the operator's resident memory at its peak: below the limit of its
	// pod (256 MiB) by what the spool may take in memory, and room to spare.
	mostResident = 200 * mebibyte
	// graceful is how long the operator may take to end, as an exchange has 30 s.
	graceful = 35 * time.Second
)

// attack is something that a tenant or its provider does to hurt others.
type attack struct {
	name  string
	begin func(context.Context, *assault) error
	// arrange what costs the API server much and the operator nothing, before the attack;
	// nil: there is nothing.
	arrange func(context.Context, *assault) error
}

// measureHostile plays attacks one after the other beside a tenant that is well, each
// against an operator that has just started.
func measureHostile(ctx context.Context, l *lab) (*result, error) {
	l.flags = []string{"--leader-elect"} // as in its Deployment, whose next pod is there before the last one goes
	h := &hostile{lab: l, result: &result{}}
	if err := h.prepareWell(ctx); err != nil {
		return h.result, err
	}
	defer h.observer.end()
	for i, attack := range attacks() {
		if !l.plays(i + 1) {
			continue
		}
		if err := h.withstand(ctx, i+1, attack); err != nil {
			return h.result, fmt.Errorf("%s: %w", attack.name, err)
		}
	}
	expired, err := h.observer.everExpired(h.seen)
	h.result.judge("tokens of the tenant that is well that ever expired, over all attacks and restarts", float64(expired), "", atMost(0))
	return h.result, err
}

// plays reports whether an attack was chosen, by its number.
func (s *settings) plays(number int) bool {
	return s.attacks == "" || slices.Contains(strings.Split(s.attacks, ","), strconv.Itoa(number))
}

// hostile is the scenario as it goes on.
type hostile struct {
	*lab
	result *result
	seen   []replacement // of the tenant that is well, of the attacks that are over
}

// prepareWell makes the tenant that is well, evenly over a lifetime.
func (h *hostile) prepareWell(ctx context.Context) error {
	lifetime, n := min(h.lifetime, wellLifetime), h.number(wellCredentials)/2
	if err := h.makeNamespace(ctx, wellNamespace); err != nil {
		return err
	}
	if _, err := h.start(ctx); err != nil {
		return err
	}
	if _, err := h.observe(ctx, true, client.InNamespace(wellNamespace)); err != nil {
		return err
	}
	for _, vendor := range []simulator.Vendor{simulator.MCS, simulator.Xiaomi} {
		p, err := shortLived(ctx, h.lab, population{namespace: wellNamespace, vendor: vendor, count: n, spread: lifetime / 3}, lifetime)
		if err == nil {
			err = populate(ctx, h.lab, p)
		}
		if err != nil {
			return err
		}
	}
	h.result.add("credentials of the tenant that is well", float64(2*n), "")
	return awaitAll(ctx, h.lab, h.observer, 2*n, 2*lifetime)
}

// withstand plays one attack, judges how the tenant that is well and the operator fare,
// and clears up.
func (h *hostile) withstand(ctx context.Context, number int, attack attack) error {
	h.say("  attack %d: %s", number, attack.name)
	a := &assault{lab: h.lab, namespace: fmt.Sprintf("attack-%02d", number)}
	if err := h.makeNamespace(ctx, a.namespace); err != nil {
		return err
	}
	if attack.arrange != nil {
		if err := errors.Join(attack.arrange(ctx, a), h.calm(ctx)); err != nil {
			return err
		}
	}
	h.seen = append(h.seen, h.observer.forget()...)
	before, err := h.simulator.counts(ctx)
	if err != nil {
		return err
	}
	peak, err := h.play(ctx, a, attack)
	if err != nil {
		return err
	}
	seen := h.observer.forget()
	late := append(latenessOf(seen), h.observer.unreplaced(time.Now())...)
	h.seen = append(h.seen, seen...)
	expired, err := h.observer.everExpired(seen)
	if err != nil {
		return err
	}
	after, err := h.simulator.counts(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d %s: ", number, attack.name)
	h.result.judge(name+"target replaced after due, p99", quantile(0.99, late), "s", atMost(1))
	h.result.judge(name+"tokens expired", float64(expired), "", atMost(0))
	h.result.judge(name+"operator's resident memory, most", peak.resident/mebibyte, "MiB", atMost(mostResident/mebibyte))
	a.report(h.result, name, after.faulty-before.faulty)
	ended, err := h.recover(ctx, a)
	h.result.judge(name+"until the operator has ended, after SIGTERM", ended.Seconds(), "s", atMost(graceful.Seconds()))
	return err
}

// play lets an attack go on for the window. An operator that ends meanwhile, by itself
// or since it has grown beyond all bounds, is noted, and misses its goals.
func (h *hostile) play(ctx context.Context, a *assault, attack attack) (*residentPeak, error) {
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	peak := &residentPeak{}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		peak.watch(attacking, h.manager)
	}()
	begun := make(chan error, 1)
	go func() { begun <- attack.begin(attacking, a) }()
	err := h.watchFor(ctx, h.window, attack.name)
	stop()
	if attackErr := <-begun; attackErr != nil && !errors.Is(attackErr, context.Canceled) && ctx.Err() == nil {
		h.result.note("%s: the attack could not be played to its end: %v", attack.name, attackErr)
	}
	<-watched
	if err != nil && ctx.Err() == nil && h.manager.HasEnded() {
		h.result.note("%s: %v", attack.name, err)
		peak.resident = math.NaN() // not measured to its end
		err = nil
	}
	return peak, err
}

// recover takes the attacker's credentials away, hands over to a new operator, as a
// rollout does, and waits until the tenant is well again. It returns how long the old
// operator took to end.
func (h *hostile) recover(ctx context.Context, a *assault) (time.Duration, error) {
	if err := h.simulator.behave(ctx); err != nil {
		return 0, err
	}
	if err := a.withdraw(ctx); err != nil {
		return 0, err
	}
	ended, err := h.handOver(ctx)
	if err != nil {
		return ended, err
	}
	if err := h.await(ctx, "the new operator leads", time.Minute, h.leads); err != nil {
		return ended, err
	}
	return ended, h.calm(ctx)
}

// calm waits until no token of the tenant that is well is late, though not for ever.
func (h *hostile) calm(ctx context.Context) error {
	err := h.await(ctx, "the tenant is well again", 2*wellLifetime, func(context.Context) (bool, string, error) {
		late := len(h.observer.unreplaced(time.Now().Add(-time.Second)))
		return late == 0, fmt.Sprintf("%d tokens are late", late), nil
	})
	if errors.Is(err, errGaveUp) {
		h.result.note("%v", err)
		return nil
	}
	return err
}

// leads reports whether the operator has the lease.
func (h *hostile) leads(ctx context.Context) (bool, string, error) {
	scraped, err := h.scrape(ctx)
	return scraped.sum("leader_election_master_status", nil) > 0, "", err
}

// handOver starts an operator, which stands by, and ends the one that leads.
func (h *hostile) handOver(ctx context.Context) (time.Duration, error) {
	old := h.manager
	_, err := h.start(ctx)
	began := time.Now()
	if err != nil {
		old.Kill()
		return 0, err
	}
	old.Stop()
	return time.Since(began), nil
}

// withdraw deletes all credentials of the attacker.
func (a *assault) withdraw(ctx context.Context) error {
	return a.DeleteAllOf(ctx, &v1alpha1.TokenCredential{}, client.InNamespace(a.namespace))
}
