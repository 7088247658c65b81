// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"container/list"

	"k8s.io/apimachinery/pkg/types"
)

// Order holds waiters, each credential once, and hands them out fairly:
//
//   - Namespaces take turns, one waiter a turn. One that had nobody waiting joins
//     behind those that have, so it neither saves up turns nor gets extra ones by
//     coming and going; two that always have somebody waiting are never more than one
//     turn apart. (With turns of equal cost this is what fair queuing comes down to.)
//   - Within a namespace the classes share its turns by weight (stride scheduling).
//   - Within a class see [Class]. Every eighth renewal is the one that has waited
//     longest, so that no stream of earlier deadlines keeps one waiting for ever.
//
// A waiter thus waits for a number of turns that depends on how many wait already,
// and not on who comes later. Operations take O(log n). Namespaces with nobody
// waiting are forgotten.
//
// The zero value is ready to use. Not safe for concurrent use.
type Order struct {
	waiters    map[types.NamespacedName]*entry
	namespaces map[string]*namespace
	turns      list.List // of *namespace, the next one first
	arrivals   uint64
}

// entry is a waiter in its class.
type entry struct {
	Waiter
	arrival  uint64
	position [heaps]int
}

// namespace holds the waiters of one, and shares its turns among their classes.
type namespace struct {
	name    string
	turn    *list.Element
	classes [classes]class
	waiting int
	spent   uint64 // what the class served last had spent before
}

// Len is how many wait.
func (o *Order) Len() int { return len(o.waiters) }

// Namespaces is of how many namespaces somebody waits.
func (o *Order) Namespaces() int { return len(o.namespaces) }

// Has reports whether a credential waits.
func (o *Order) Has(who types.NamespacedName) bool { return o.waiters[who] != nil }

// Add adds a waiter. One that waits already gets the new class and deadline, and
// still counts as having come when it first did.
func (o *Order) Add(waiter Waiter) { o.add(waiter, 0) }

// add adds a waiter that came earlier, with its number of arrival then; 0: it comes now.
func (o *Order) add(waiter Waiter, arrival uint64) {
	waiter.Class = min(waiter.Class, Failing)
	if known := o.waiters[waiter.Who]; known != nil {
		if known.Waiter != waiter {
			in := o.namespaces[waiter.Who.Namespace]
			in.remove(known)
			known.Waiter = waiter
			in.add(known)
		}
		return
	}
	if arrival == 0 {
		o.arrivals++
		arrival = o.arrivals
	}
	if o.waiters == nil {
		o.waiters, o.namespaces = map[types.NamespacedName]*entry{}, map[string]*namespace{}
	}
	in := o.namespaces[waiter.Who.Namespace]
	if in == nil {
		in = &namespace{name: waiter.Who.Namespace, classes: newClasses()}
		in.turn = o.turns.PushBack(in)
		o.namespaces[in.name] = in
	}
	added := &entry{Waiter: waiter, arrival: arrival}
	o.waiters[waiter.Who] = added
	in.add(added)
}

// Remove takes a credential out, whether it waits or not.
func (o *Order) Remove(who types.NamespacedName) {
	if known := o.waiters[who]; known != nil {
		o.remove(known)
	}
}

// remove takes an entry out, and forgets its namespace if it was the last there.
func (o *Order) remove(e *entry) {
	in := o.namespaces[e.Who.Namespace]
	in.remove(e)
	delete(o.waiters, e.Who)
	if in.waiting == 0 {
		o.turns.Remove(in.turn)
		delete(o.namespaces, in.name)
	}
}

// Pop takes out the waiter whose turn it is. It reports false if nobody waits.
func (o *Order) Pop() (Waiter, bool) {
	next := o.popWhere(nil)
	if next == nil {
		return Waiter{}, false
	}
	return next.Waiter, true
}

// popWhere takes out the first waiter of a namespace and class that fit; nil if there
// is none. A namespace that is passed over keeps its turn. Takes time with the
// number of namespaces passed over.
func (o *Order) popWhere(fits func(namespace string, class Class) bool) *entry {
	for turn := o.turns.Front(); turn != nil; turn = turn.Next() {
		in := turn.Value.(*namespace)
		class := in.next(fits)
		if class == nil {
			continue
		}
		next := class.next()
		in.spend(class, next.Class)
		o.turns.MoveToBack(turn)
		o.remove(next)
		return next
	}
	return nil
}

func (n *namespace) add(e *entry) {
	class := &n.classes[e.Class]
	if class.len() == 0 {
		class.spent = max(class.spent, n.spent) // turns not used are not saved up
	}
	class.add(e)
	n.waiting++
}

func (n *namespace) remove(e *entry) {
	n.classes[e.Class].remove(e)
	n.waiting--
}

// next is the class that has spent least, of those that fit and have waiters; nil if
// there is none.
func (n *namespace) next(fits func(namespace string, class Class) bool) *class {
	var least *class
	for kind := range n.classes {
		class := &n.classes[kind]
		if class.len() == 0 || least != nil && least.spent <= class.spent {
			continue
		}
		if fits == nil || fits(n.name, Class(kind)) {
			least = class
		}
	}
	return least
}

// spend charges a class for a turn.
func (n *namespace) spend(c *class, kind Class) {
	n.spent = max(n.spent, c.spent)
	c.spent += strides[kind]
	c.turns++
}
