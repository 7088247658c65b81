// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/pace/sweep"
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
//   - Calls that last for a second are slow, and are counted apart: so who does not answer
//     holds no slot of those who do. A namespace that has made one is expected to make
//     more, wherever it is not known to be quick; such calls share as many slots as there
//     are workers among themselves, by the same halves.
//   - A host that is down is probed with one call at a time, by whoever comes by
//     itself; nobody is woken for a probe.
//
// A woken waiter has a slot, which it takes by Enter or gives back by Yield. If it does
// neither for two seconds, the slot goes to the next one. Hosts has no timer: it
// finds that out at the next call of any of its methods that takes the time, so
// [Hosts.Tick] should be called several times a second.
//
// Hosts are compared by [CanonicalHost]. What is known of a host or a namespace is
// forgotten once it makes no difference, or ten minutes after the last call. Safe for
// concurrent use.
type Hosts struct {
	wake func(types.NamespacedName)

	mu       sync.Mutex
	hosts    map[string]*host
	slots    slots
	waiting  crowd
	admitted admissions
	sweeper  sweep.Sweeper
}

// NewHosts shares the workers among all hosts; [Parallel] is how many calls that may come
// to, the slow ones among them. wake is called, without a lock held,
// for who had to wait and may now go; it must not block.
func NewHosts(workers int, wake func(types.NamespacedName)) *Hosts {
	h := &Hosts{
		wake:    wake,
		hosts:   map[string]*host{},
		slots:   newSlots(workers),
		waiting: crowd{hosts: map[*host]bool{}, who: map[types.NamespacedName]*host{}},
	}
	h.admitted = admissions{slots: &h.slots, who: map[types.NamespacedName]*admission{}}
	return h
}

// Enter asks for a slot for a call to a host. Who does not get one waits, for one host
// at a time.
func (h *Hosts) Enter(name string, waiter Waiter, now time.Time) Verdict {
	h.mu.Lock()
	defer h.unlock()
	name = CanonicalHost(name)
	if h.admitted.claim(waiter.Who, name, now) {
		return Go
	}
	arrival := h.admitted.yield(waiter.Who, name)
	if other := h.waiting.who[waiter.Who]; other != nil && other.name != name {
		h.waiting.remove(waiter.Who) // else it may be admitted there now
	}
	h.update(now)
	if h.admitted.claim(waiter.Who, name, now) {
		return Go
	}
	at := h.at(name, now)
	if !h.slots.room(at, waiter.Who.Namespace, at.classOf(waiter), now) {
		h.waiting.add(at, waiter, arrival)
		if at.down(waiter.Who.Namespace) {
			return Down
		}
		return Busy
	}
	h.waiting.remove(waiter.Who)
	h.slots.take(at, waiter.Who, now)
	h.slots.begin(waiter.Who, now)
	return Go
}

// Full reports whether there is no slot at a host; if so the waiter is woken when there
// is one. It takes no slot. Of a host that is down it reports false: then Enter
// decides, and the credential reports what it says.
func (h *Hosts) Full(name string, waiter Waiter, now time.Time) bool {
	h.mu.Lock()
	defer h.unlock()
	name = CanonicalHost(name)
	if h.admitted.holds(waiter.Who, name) {
		return false
	}
	h.update(now)
	if h.admitted.holds(waiter.Who, name) {
		return false
	}
	at := h.at(name, now)
	if at.down(waiter.Who.Namespace) || h.slots.room(at, waiter.Who.Namespace, at.classOf(waiter), now) {
		h.forgetIfIdle(at, now)
		return false
	}
	h.waiting.add(at, waiter, h.admitted.yield(waiter.Who, at.name))
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
	h.slots.end(waiter.Who, answer, now)
	at.note(waiter.Who.Namespace, answer, h.slots.workers, now)
	failed := answer == Unavailable || answer == Unclear || answer == Unreachable
	if failed && !patient && at.down(waiter.Who.Namespace) {
		h.waiting.add(at, waiter, h.admitted.yield(waiter.Who, at.name))
	}
	h.slots.freed = true
	h.update(now)
	at.forgetTenant(waiter.Who.Namespace, h.slots.workers, now)
	h.forgetIfIdle(at, now)
}

// Yield gives back the slot of a waiter that was woken and makes no call after all;
// whoever is next is woken at once. Of others it does nothing.
func (h *Hosts) Yield(who types.NamespacedName, now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	h.admitted.yield(who, "")
	h.update(now)
}

// Forget takes out a credential that is gone, or will make no call until it is
// changed: it waits no longer, and yields.
func (h *Hosts) Forget(who types.NamespacedName, now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	h.waiting.remove(who)
	h.admitted.yield(who, "")
	h.update(now)
}

// Admitted reports whether a waiter was woken to make a call, which then does not wait
// for the time that its next attempt was planned for. It stays so when its slot has
// lapsed, until it asks again.
func (h *Hosts) Admitted(who types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.admitted.who[who] != nil
}

// crowdSize is how many wait, for each worker, before all else gives way to their
// tokens: some seconds' worth. A few hundred have theirs soon, whatever else is done.
const crowdSize = 8

// Crowded reports whether many credentials wait: for a worker, which is how many are queued,
// or for a slot while calls come and go. Then the API server is busy with tokens for a while.
// Where calls are short, it is the workers that are waited for. Who waits for hosts that do
// not answer makes no crowd.
func (h *Hosts) Crowded(queued int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	crowd := crowdSize * h.slots.workers
	return queued >= crowd || len(h.waiting.who) >= crowd && 4*h.slots.quick.inFlight >= h.slots.workers
}

// Tick passes on the slots of those who were woken and did not come.
func (h *Hosts) Tick(now time.Time) {
	h.mu.Lock()
	defer h.unlock()
	h.update(now)
}

// unlock wakes, without the lock, who was admitted under it.
func (h *Hosts) unlock() {
	woken := h.admitted.toWake()
	h.mu.Unlock()
	for _, who := range woken {
		h.wake(who)
	}
}

// at is the host of a canonical name.
func (h *Hosts) at(name string, now time.Time) *host {
	known := h.hosts[name]
	if known == nil {
		known = &host{name: name, limit: h.slots.workers, tenants: map[string]*tenant{}}
		h.hosts[name] = known
	}
	known.used = now
	return known
}

// update takes back the slots of those who did not come, counts calls as slow that last,
// and admits those for whom there is room. After it nobody waits for whom there is room,
// unless the host is down.
func (h *Hosts) update(now time.Time) {
	h.admitted.lapse(now)
	h.slots.age(now)
	if h.sweeper.Due(now) {
		h.sweep(now)
	}
	if h.slots.freed {
		h.slots.freed = false
		for at := range h.waiting.hosts {
			for h.admit(at, now) {
			}
		}
	}
}

// admit keeps a slot at a host for the next waiter, if there is room for one, and has it
// woken. An equal part is for each namespace that waits; what they cannot use is for
// any. Nobody is woken for a host that is down.
func (h *Hosts) admit(at *host, now time.Time) bool {
	if at.waiting.Len() == 0 || at.unreachable() || h.slots.full(at) {
		return false
	}
	waiting := at.waiting.Namespaces()
	equalPart := (min(at.limit, h.slots.quick.share(at)) + waiting - 1) / waiting
	fits := func(namespace string, class Class) bool {
		return !at.down(namespace) && h.slots.room(at, namespace, class, now)
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
	h.waiting.remove(next.Who)
	h.slots.take(at, next.Who, now)
	h.admitted.keep(next, at.name, now)
	return true
}

// sweep forgets what makes no difference any more, or was long ago, which may make room.
func (h *Hosts) sweep(now time.Time) {
	h.slots.freed = true
	h.admitted.forget(now)
	h.slots.forget(now)
	for _, at := range h.hosts {
		for namespace := range at.tenants {
			at.forgetTenant(namespace, h.slots.workers, now)
		}
		h.forgetIfIdle(at, now)
	}
}

// forgetIfIdle forgets a host of which nothing needs to be remembered. Who waits for a
// host that nobody has asked for in all the time is gone.
func (h *Hosts) forgetIfIdle(at *host, now time.Time) {
	if !at.idle(h.slots.workers, now) {
		return
	}
	h.waiting.forget(at)
	delete(h.hosts, at.name)
}
