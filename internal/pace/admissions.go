// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// admissions are the slots that are kept for waiters that were woken.
type admissions struct {
	slots   *slots
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
func (a *admissions) claim(who types.NamespacedName, host string, now time.Time) bool {
	if !a.holds(who, host) {
		return false
	}
	delete(a.who, who)
	a.woken = slices.DeleteFunc(a.woken, func(woken types.NamespacedName) bool { return woken == who })
	a.slots.begin(who, now)
	return true
}

// yield drops an admission. If its slot was at that host and has lapsed, it returns the
// number of arrival with which the waiter waits again.
func (a *admissions) yield(who types.NamespacedName, host string) uint64 {
	kept := a.who[who]
	delete(a.who, who)
	switch {
	case kept == nil:
		return 0
	case !kept.lapsed:
		a.slots.give(who)
		return 0
	case kept.host == host:
		return kept.arrival
	default:
		return 0
	}
}

// lapse takes back the slots of those who did not come in time.
func (a *admissions) lapse(now time.Time) {
	for len(a.pending) > 0 && now.Sub(a.pending[0].at) >= admissionTimeout {
		late := a.pending[0]
		a.pending[0] = nil
		a.pending = a.pending[1:]
		if a.who[late.who] == late {
			late.lapsed = true
			a.slots.give(late.who)
		}
	}
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
