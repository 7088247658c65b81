// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// slots shares the workers among the hosts and the namespaces, and counts the calls in
// flight, made or admitted: quick ones and slow ones apart, so that who does not answer
// takes nothing from those who do. A call that has lasted for slowAfter is slow.
type slots struct {
	workers     int
	quick, slow pool
	calls       calls
	lasted      lasted
	freed       bool // somebody who waits may have room since it was last looked
}

// Parallel is how many calls may be in flight at once with so many workers: as many quick
// ones as there are workers, and three times as many slow ones (see [slots.part]).
func Parallel(workers int) int { return 4 * workers }

func newSlots(workers int) slots {
	return slots{
		workers: workers,
		quick:   newPool(workers),
		slow:    newPool(workers),
		calls:   calls{held: map[types.NamespacedName]*hold{}},
		lasted:  newLasted(),
	}
}

// part is where a call of a namespace to a host would count; nil: it may not be made now.
//
// Slow calls may be as many as workers, and those of whom nothing is known go on until
// there are twice as many: so who is known to be slow does not keep them out. Who is known
// to be quick goes on until there are three times as many. Each of these bounds may be
// exceeded by one set of workers, whose calls turn out slow when they are under way.
func (s *slots) part(at *host, namespace string) *pool {
	switch known := s.lasted.known(at.name, namespace); {
	case known == knownSlow && s.slow.inFlight < s.workers:
		return &s.slow
	case known == knownQuick && s.slow.inFlight < 3*s.workers, known == unknown && s.slow.inFlight < 2*s.workers:
		return &s.quick
	}
	return nil
}

// room reports whether somebody of a namespace and class may call a host now.
func (s *slots) room(at *host, namespace string, class Class, now time.Time) bool {
	if at.unreachable() && (at.inFlight > 0 || now.Before(at.probeAt)) {
		return false
	}
	in := s.part(at, namespace)
	if in == nil || !in.room(at, namespace, class) || at.inFlight >= forClass(s.bearable(at, namespace), class) {
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

// bearable is how many calls to a host may be in flight if one of a namespace is the last
// of them. For its only call the limit of the host is ignored, unless it has seen for
// itself that the host does not serve: else those who strain the host, and hold its
// slots with calls that end in a time-out, would keep it from others whom it serves.
func (s *slots) bearable(at *host, namespace string) int {
	if t := at.tenants[namespace]; t == nil || t.inFlight == 0 && !t.unserved {
		return Parallel(s.workers)
	}
	return at.limit
}

// full reports whether nobody may call a host now, whoever it is.
func (s *slots) full(at *host) bool {
	return s.quick.hosts[at] >= s.quick.share(at) && s.slow.hosts[at] >= s.slow.share(at)
}

// take takes a slot for a call, which begins, unless it is kept for who was woken.
func (s *slots) take(at *host, who types.NamespacedName, now time.Time) {
	s.give(who) // a credential has one
	in := s.part(at, who.Namespace)
	if in == nil {
		in = &s.quick
	}
	at.tenant(who.Namespace, s.workers, now).inFlight++
	at.inFlight++
	in.add(at, who.Namespace, 1)
	s.calls.held[who] = &hold{who: who, at: at, in: in}
}

// begin notes that the call begins for which a slot is held.
func (s *slots) begin(who types.NamespacedName, now time.Time) { s.calls.begin(who, now) }

// give gives back a slot, if one is held.
func (s *slots) give(who types.NamespacedName) {
	held := s.calls.held[who]
	if held == nil {
		return
	}
	delete(s.calls.held, who)
	held.at.tenants[who.Namespace].inFlight--
	held.at.inFlight--
	held.in.add(held.at, who.Namespace, -1)
	s.freed = true
}

// end gives back the slot of a call, and notes how long it lasted.
func (s *slots) end(who types.NamespacedName, answer Answer, now time.Time) {
	if held := s.calls.held[who]; held != nil && held.calling {
		switch {
		case now.Sub(held.since) >= slowAfter:
			s.lasted.slow(held.at.name, who.Namespace, now)
		case answer == Served, answer == Throttled:
			s.lasted.quick(held.at.name, who.Namespace)
		}
	}
	s.give(who)
}

// age counts among the slow ones the calls that have lasted so long by now.
func (s *slots) age(now time.Time) {
	for _, held := range s.calls.lasting(now) {
		s.lasted.slow(held.at.name, held.who.Namespace, now)
		held.in.add(held.at, held.who.Namespace, -1)
		held.in = &s.slow
		held.in.add(held.at, held.who.Namespace, 1)
		s.freed = true
	}
}

// forget what is known of namespaces that have made no slow call for long.
func (s *slots) forget(now time.Time) {
	s.freed = s.lasted.forget(now) || s.freed
}
