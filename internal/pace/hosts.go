// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Answer is how a call went, as far as the host matters.
type Answer string

const (
	// Served: the host answered, whatever it said.
	Served Answer = "Served"
	// Throttled: it asks for fewer calls.
	Throttled Answer = "Throttled"
	// Unreachable: there was no connection (DNS, dial, TLS), and so nothing was sent.
	// That says something of the host for everybody, so it must not be said of a
	// handshake that failed by the credential's own client certificate.
	Unreachable Answer = "Unreachable"
	// Unavailable: it was reached, and gave no answer or cannot serve. That may be of
	// the credential's own making, such as the path that it calls.
	Unavailable Answer = "Unavailable"
	// Unclear: as Unavailable, and what was sent works once and may be spent. Each
	// such call may need a person's attention, so they are made more seldom.
	Unclear Answer = "Unclear"
	// Unasked: the call was not made after all.
	Unasked Answer = "Unasked"
)

// Verdict is whether a call may be made.
type Verdict string

const (
	// Go ahead, and Leave afterwards.
	Go Verdict = "Go"
	// Busy: there is no slot. The waiter is woken when there is one.
	Busy Verdict = "Busy"
	// Down: calls to the host fail one after the other. The waiter is woken when it
	// is back.
	Down Verdict = "Down"
)

// Hosts bounds the calls in flight to each host, so that a slow one holds up nobody
// but its own credentials, and a namespace nobody but itself:
//
//   - A host may have half of the workers that other hosts leave, and a namespace half
//     of those that other namespaces leave; each at least one.
//   - Of a host's slots, half are not for those who fail by themselves ([Failing]).
//     While several namespaces wait for a host, none gets more than an equal part of
//     its slots if another can use them. Who waits goes in fair order ([Order]).
//   - The limit of a host is halved by failures and grows with each success; so is a
//     namespace's own limit at a host. Failures that one namespace alone sees affect
//     its own limit only. The limit of the host does not stand in the way of the only
//     call of a namespace whose last one was served.
//   - A host is down for a namespace when five of its calls in a row failed, and for
//     all when five in a row could not connect. When five in a row failed, in several
//     namespaces and with no success between, the host is suspect: two failures are
//     then enough for it to be down for a namespace, and one that has not failed calls
//     it with one call at a time. Whatever others see, a namespace is served whose
//     calls succeed.
//   - A host that is down is probed with one call at a time, by whoever comes by
//     itself; nobody is woken for a probe.
//
// A woken waiter has a slot, which it takes by Enter or gives back by Yield. If it does
// neither for two seconds, the slot goes to the next one. Hosts has no timer: it
// finds that out at the next call of any of its methods that takes the time, so
// [Hosts.Tick] should be called every second or so.
//
// Hosts are compared by [CanonicalHost]. What is known of a host or a namespace is
// forgotten once it makes no difference, or ten minutes after the last call. Safe for
// concurrent use.
type Hosts struct {
	workers int
	wake    func(types.NamespacedName)

	mu         sync.Mutex
	inFlight   int            // calls to all hosts, made or admitted
	namespaces map[string]int // in flight
	hosts      map[string]*host
	crowded    map[*host]bool // those that somebody waits for
	waiting    map[types.NamespacedName]*host
	admitted   map[types.NamespacedName]*admission
	pending    []*admission // in the order in which they lapse
	woken      []types.NamespacedName
	changed    bool // somebody who waits may have room since update last looked
	sweeper    sweeper
}

// NewHosts shares the workers among all hosts. wake is called, without a lock held,
// for who had to wait and may now go; it must not block.
func NewHosts(workers int, wake func(types.NamespacedName)) *Hosts {
	return &Hosts{
		workers:    workers,
		wake:       wake,
		namespaces: map[string]int{},
		hosts:      map[string]*host{},
		crowded:    map[*host]bool{},
		waiting:    map[types.NamespacedName]*host{},
		admitted:   map[types.NamespacedName]*admission{},
	}
}

// Enter asks for a slot for a call to a host. Who does not get one waits, for one host
// at a time.
func (h *Hosts) Enter(name string, waiter Waiter, now time.Time) Verdict {
	h.mu.Lock()
	defer h.unlock()
	name = CanonicalHost(name)
	if h.claim(waiter.Who, name) {
		return Go
	}
	arrival := h.yield(waiter.Who, name)
	if other := h.waiting[waiter.Who]; other != nil && other.name != name {
		h.unwait(waiter.Who) // else it may be admitted there now
	}
	h.update(now)
	if h.claim(waiter.Who, name) {
		return Go
	}
	at := h.at(name, now)
	if !h.room(at, waiter.Who.Namespace, at.classOf(waiter), now) {
		h.wait(at, waiter, arrival)
		if at.down(waiter.Who.Namespace) {
			return Down
		}
		return Busy
	}
	h.unwait(waiter.Who)
	h.take(at, waiter.Who.Namespace, now)
	return Go
}

// Full reports whether there is no slot at a host; if so the waiter is woken when there
// is one. It takes no slot. Of a host that is down it reports false: then Enter
// decides, and the credential reports what it says.
func (h *Hosts) Full(name string, waiter Waiter, now time.Time) bool {
	h.mu.Lock()
	defer h.unlock()
	name = CanonicalHost(name)
	if h.holds(waiter.Who, name) {
		return false
	}
	h.update(now)
	if h.holds(waiter.Who, name) {
		return false
	}
	at := h.at(name, now)
	if at.down(waiter.Who.Namespace) || h.room(at, waiter.Who.Namespace, at.classOf(waiter), now) {
		h.forgetIfIdle(at, now)
		return false
	}
	h.wait(at, waiter, h.yield(waiter.Who, at.name))
	h.update(now)
	return true
}

// Leave ends a call for which Enter said Go. Each Go needs exactly one. Where the host is
// down for the waiter, it is woken when the host is back, unless patient: the host said
// when to come again.
func (h *Hosts) Leave(name string, waiter Waiter, answer Answer, patient bool, now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	at := h.at(CanonicalHost(name), now)
	h.give(at, waiter.Who.Namespace)
	at.note(waiter.Who.Namespace, answer, h.workers, now)
	failed := answer == Unavailable || answer == Unclear || answer == Unreachable
	if failed && !patient && at.down(waiter.Who.Namespace) {
		h.wait(at, waiter, h.yield(waiter.Who, at.name))
	}
	h.changed = true
	h.update(now)
	at.forgetTenant(waiter.Who.Namespace, h.workers, now)
	h.forgetIfIdle(at, now)
}

// Yield gives back the slot of a waiter that was woken and makes no call after all;
// whoever is next is woken at once. Of others it does nothing.
func (h *Hosts) Yield(who types.NamespacedName, now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	h.yield(who, "")
	h.update(now)
}

// Forget takes out a credential that is gone, or will make no call until it is
// changed: it waits no longer, and yields.
func (h *Hosts) Forget(who types.NamespacedName, now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	h.unwait(who)
	h.yield(who, "")
	h.update(now)
}

// Admitted reports whether a waiter was woken to make a call, which then does not wait
// for the time that its next attempt was planned for. It stays so when its slot has
// lapsed, until it asks again.
func (h *Hosts) Admitted(who types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.admitted[who] != nil
}

// Tick passes on the slots of those who were woken and did not come.
func (h *Hosts) Tick(now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	h.update(now)
}
