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

// admission is a slot kept for a waiter that was woken.
type admission struct {
	who     types.NamespacedName
	host    string
	arrival uint64
	at      time.Time
	lapsed  bool
}

// unlock wakes, without the lock, who was admitted under it.
func (h *Hosts) unlock() {
	woken := h.woken
	h.woken = nil
	h.mu.Unlock()
	for _, who := range woken {
		h.wake(who)
	}
}

// at is the host of a canonical name.
func (h *Hosts) at(name string, now time.Time) *host {
	known := h.hosts[name]
	if known == nil {
		known = &host{name: name, limit: h.workers, tenants: map[string]*tenant{}}
		h.hosts[name] = known
	}
	known.used = now
	return known
}

// room reports whether somebody of a namespace and class may call a host now.
func (h *Hosts) room(at *host, namespace string, class Class, now time.Time) bool {
	if at.unreachable() {
		return at.inFlight == 0 && !now.Before(at.probeAt)
	}
	slots, held := h.slots(at, namespace), h.namespaces[namespace]
	if class == Failing {
		slots = max(slots/2, 1)
	}
	if at.inFlight >= slots || held >= half(h.workers-(h.inFlight-held)) {
		return false
	}
	t := at.tenants[namespace]
	switch {
	case t == nil || t.inFlight == 0:
		return t == nil || !at.fails(t) || !now.Before(t.probeAt)
	case at.fails(t) || at.suspect:
		return false // one call at a time
	default:
		return t.inFlight < t.limit
	}
}

// slots is how many calls to a host may be in flight if one of a namespace is the last of
// them. For its only call the limit of the host is ignored, unless it has seen for
// itself that the host does not serve: else those who strain the host, and hold its
// slots with calls that end in a time-out, would keep it from others whom it serves.
func (h *Hosts) slots(at *host, namespace string) int {
	share := h.share(at)
	if t := at.tenants[namespace]; t == nil || t.inFlight == 0 && !t.unserved {
		return share
	}
	return min(at.limit, share)
}

// share is how many workers a host may have.
func (h *Hosts) share(at *host) int { return half(h.workers - (h.inFlight - at.inFlight)) }

// half of the workers that others leave, and one at least.
func half(left int) int { return max(left/2, 1) }

func (h *Hosts) take(at *host, namespace string, now time.Time) {
	at.tenant(namespace, h.workers, now).inFlight++
	at.inFlight++
	h.inFlight++
	h.namespaces[namespace]++
}

// give gives back a slot, if one is held.
func (h *Hosts) give(at *host, namespace string) {
	t := at.tenants[namespace]
	if t == nil || t.inFlight == 0 {
		return
	}
	t.inFlight--
	at.inFlight--
	h.inFlight--
	h.changed = true
	if h.namespaces[namespace]--; h.namespaces[namespace] == 0 {
		delete(h.namespaces, namespace)
	}
}

// wait adds somebody to those who wait for a host; who waited for another did so in
// vain. arrival is as in Order.add.
func (h *Hosts) wait(at *host, waiter Waiter, arrival uint64) {
	if h.waiting[waiter.Who] != at {
		h.unwait(waiter.Who)
	}
	waiter.Class = at.classOf(waiter)
	at.waiting.add(waiter, arrival)
	h.waiting[waiter.Who] = at
	h.crowded[at] = true
}

func (h *Hosts) unwait(who types.NamespacedName) {
	at := h.waiting[who]
	if at == nil {
		return
	}
	at.waiting.Remove(who)
	delete(h.waiting, who)
	if at.waiting.Len() == 0 {
		delete(h.crowded, at)
	}
}

// holds reports whether a slot at a host is kept for somebody who was woken.
func (h *Hosts) holds(who types.NamespacedName, host string) bool {
	kept := h.admitted[who]
	return kept != nil && !kept.lapsed && kept.host == host
}

// claim turns a slot that was kept into that of a call.
func (h *Hosts) claim(who types.NamespacedName, host string) bool {
	if !h.holds(who, host) {
		return false
	}
	delete(h.admitted, who)
	h.woken = slices.DeleteFunc(h.woken, func(woken types.NamespacedName) bool { return woken == who })
	return true
}

// yield drops an admission. If its slot was at that host and has lapsed, it returns the
// number of arrival with which the waiter waits again.
func (h *Hosts) yield(who types.NamespacedName, host string) uint64 {
	kept := h.admitted[who]
	if kept == nil {
		return 0
	}
	delete(h.admitted, who)
	switch {
	case !kept.lapsed:
		h.give(h.hosts[kept.host], who.Namespace)
		return 0
	case kept.host == host:
		return kept.arrival
	default:
		return 0
	}
}

// update takes back the slots of those who did not come, and admits those for whom
// there is room. After it nobody waits for whom there is room, unless the host is down.
func (h *Hosts) update(now time.Time) {
	for len(h.pending) > 0 && now.Sub(h.pending[0].at) >= admissionTimeout {
		late := h.pending[0]
		h.pending[0] = nil
		h.pending = h.pending[1:]
		if h.admitted[late.who] == late {
			late.lapsed = true
			h.give(h.hosts[late.host], late.who.Namespace)
		}
	}
	if h.changed {
		h.changed = false
		for at := range h.crowded {
			for h.admit(at, now) {
			}
		}
	}
	if h.sweeper.due(now) {
		h.sweep(now)
	}
}

// admit keeps a slot at a host for the next waiter, if there is room for one, and has it
// woken. An equal part is for each namespace that waits; what they cannot use is for
// any. Nobody is woken for a host that is down.
func (h *Hosts) admit(at *host, now time.Time) bool {
	share := h.share(at)
	if at.waiting.Len() == 0 || at.unreachable() || at.inFlight >= share {
		return false
	}
	waiting := at.waiting.Namespaces()
	equalPart := (min(at.limit, share) + waiting - 1) / waiting
	fits := func(namespace string, class Class) bool {
		return !at.down(namespace) && h.room(at, namespace, class, now)
	}
	next := at.waiting.popWhere(func(namespace string, class Class) bool {
		t := at.tenants[namespace]
		return (t == nil || t.inFlight < equalPart) && fits(namespace, class)
	})
	if next == nil {
		next = at.waiting.popWhere(fits)
	}
	if next == nil {
		return false
	}
	delete(h.waiting, next.Who)
	if at.waiting.Len() == 0 {
		delete(h.crowded, at)
	}
	kept := &admission{who: next.Who, host: at.name, arrival: next.arrival, at: now}
	h.admitted[next.Who] = kept
	h.pending = append(h.pending, kept)
	h.take(at, next.Who.Namespace, now)
	h.woken = append(h.woken, next.Who)
	return true
}

// sweep forgets what makes no difference any more.
func (h *Hosts) sweep(now time.Time) {
	for who, kept := range h.admitted {
		if kept.lapsed && now.Sub(kept.at) > rememberAdmission {
			delete(h.admitted, who)
		}
	}
	for _, at := range h.hosts {
		for namespace := range at.tenants {
			at.forgetTenant(namespace, h.workers, now)
		}
		h.forgetIfIdle(at, now)
	}
}

// forgetIfIdle forgets a host of which nothing needs to be remembered. Who waits for a
// host that nobody has asked for in all the time is gone.
func (h *Hosts) forgetIfIdle(at *host, now time.Time) {
	if !at.idle(h.workers, now) {
		return
	}
	for who := range at.waiting.waiters {
		delete(h.waiting, who)
	}
	delete(h.crowded, at)
	delete(h.hosts, at.name)
}
