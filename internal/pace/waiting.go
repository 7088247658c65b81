// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// admissionTimeout is how long a slot is kept for a waiter that was woken. It has
	// only the work queue to pass, where those who were woken should go first.
	admissionTimeout = 2 * time.Second
	// rememberAdmission is how long one whose slot has lapsed still counts as woken,
	// and keeps its number of arrival.
	rememberAdmission = 2 * time.Minute
)

// crowd is who waits for which host; each host has their order.
type crowd struct {
	hosts map[*host]bool // those that somebody waits for
	who   map[types.NamespacedName]*host
}

// add adds somebody to those who wait for a host; who waited for another did so in
// vain. arrival is as in Order.add.
func (c *crowd) add(at *host, waiter Waiter, arrival uint64) {
	if c.who[waiter.Who] != at {
		c.remove(waiter.Who)
	}
	waiter.Class = at.classOf(waiter)
	at.waiting.add(waiter, arrival)
	c.who[waiter.Who] = at
	c.hosts[at] = true
}

// remove takes out somebody who waits no longer, if it did.
func (c *crowd) remove(who types.NamespacedName) {
	at := c.who[who]
	if at == nil {
		return
	}
	at.waiting.Remove(who)
	delete(c.who, who)
	if at.waiting.Len() == 0 {
		delete(c.hosts, at)
	}
}

// forget drops a host together with those who wait for it.
func (c *crowd) forget(at *host) {
	for who := range at.waiting.waiters {
		delete(c.who, who)
	}
	delete(c.hosts, at)
}

// admissions are the slots that are kept for waiters that were woken.
type admissions struct {
	who     map[types.NamespacedName]*admission
	pending []*admission           // in the order in which they lapse
	woken   []types.NamespacedName // who is to be woken once the lock is free
}

// admission is a slot kept for a waiter that was woken.
type admission struct {
	who     types.NamespacedName
	host    string
	arrival uint64
	at      time.Time
	lapsed  bool
}

// keep a slot at a host for a waiter.
func (a *admissions) keep(next *entry, host string, now time.Time) {
	kept := &admission{who: next.Who, host: host, arrival: next.arrival, at: now}
	a.who[next.Who] = kept
	a.pending = append(a.pending, kept)
	a.woken = append(a.woken, next.Who)
}

// holds reports whether a slot at a host is kept for somebody who was woken.
func (a *admissions) holds(who types.NamespacedName, host string) bool {
	kept := a.who[who]
	return kept != nil && !kept.lapsed && kept.host == host
}

// claim turns a slot that was kept into that of a call.
func (a *admissions) claim(who types.NamespacedName, host string) bool {
	if !a.holds(who, host) {
		return false
	}
	delete(a.who, who)
	a.woken = slices.DeleteFunc(a.woken, func(woken types.NamespacedName) bool { return woken == who })
	return true
}

// drop an admission, and return it; nil: there is none.
func (a *admissions) drop(who types.NamespacedName) *admission {
	kept := a.who[who]
	delete(a.who, who)
	return kept
}

// lapse returns those who did not come in time; the slots are kept no longer.
func (a *admissions) lapse(now time.Time) []*admission {
	var lapsed []*admission
	for len(a.pending) > 0 && now.Sub(a.pending[0].at) >= admissionTimeout {
		late := a.pending[0]
		a.pending[0] = nil
		a.pending = a.pending[1:]
		if a.who[late.who] == late {
			late.lapsed = true
			lapsed = append(lapsed, late)
		}
	}
	return lapsed
}

// forget those that have lapsed long ago.
func (a *admissions) forget(now time.Time) {
	for who, kept := range a.who {
		if kept.lapsed && now.Sub(kept.at) > rememberAdmission {
			delete(a.who, who)
		}
	}
}

// toWake is who was admitted since it was last asked.
func (a *admissions) toWake() []types.NamespacedName {
	woken := a.woken
	a.woken = nil
	return woken
}
