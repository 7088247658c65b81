// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"container/heap"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Class is the kind of attention a credential needs. Within a namespace the classes
// share by weight, so that none of them can keep another from being served.
type Class uint8

const (
	// Renewal: there is a token, which expires at the deadline, or has expired.
	// Served by earliest deadline.
	Renewal Class = iota
	// New: there has never been a token. First come, first served.
	New
	// Failing: the last attempt failed. First come, first served.
	Failing

	classes = 3
)

// strides are what one turn of each class costs; a class with the least spent is next.
// They are the inverse of the weights 6 : 3 : 1 for Renewal, New and Failing.
//
// Two of three turns stay with renewals while any number of new credentials come, so
// an installation whose renewals need less than that loses no token to them. Failing
// ones mostly fail again: a tenth is enough to notice that the cause is gone. A class
// that nobody waits in costs nothing: its share goes to the others.
var strides = [classes]uint64{Renewal: 1, New: 2, Failing: 6}

// Waiter is a credential that waits for its turn.
type Waiter struct {
	Who   types.NamespacedName
	Class Class
	// Deadline is when the token expires. It orders the class Renewal alone.
	Deadline time.Time
	// FailedAt is when the last attempt of a Failing one failed, if known. Hosts do
	// not hold a failure against it that an outage of theirs explains.
	FailedAt time.Time
}

// longestWaitingEvery is how many renewals are served for one that goes to whoever has
// waited longest, whatever its deadline: seldom enough that deadlines rule, and often
// enough that credentials whose tokens are always about to expire, or have long
// expired and cannot be renewed, do not keep the others waiting for ever.
const longestWaitingEvery = 8

// The heaps that an entry can be in.
const (
	byArrival = iota
	byDeadline

	heaps
)

// class holds the waiters of one class and namespace.
type class struct {
	spent      uint64 // for turns, in strides
	turns      uint64
	byArrival  entryHeap
	byDeadline entryHeap // renewals alone
}

func newClasses() [classes]class {
	var made [classes]class
	for kind := range made {
		made[kind].byArrival = entryHeap{kind: byArrival, before: arrivedBefore}
		made[kind].byDeadline = entryHeap{kind: byDeadline, before: dueBefore}
	}
	return made
}

func arrivedBefore(a, b *entry) bool { return a.arrival < b.arrival }

func dueBefore(a, b *entry) bool {
	if a.Deadline.Equal(b.Deadline) {
		return arrivedBefore(a, b)
	}
	return a.Deadline.Before(b.Deadline)
}

func (c *class) len() int { return c.byArrival.Len() }

func (c *class) add(e *entry) {
	heap.Push(&c.byArrival, e)
	if e.Class == Renewal {
		heap.Push(&c.byDeadline, e)
	}
}

func (c *class) remove(e *entry) {
	heap.Remove(&c.byArrival, e.position[byArrival])
	if e.Class == Renewal {
		heap.Remove(&c.byDeadline, e.position[byDeadline])
	}
}

// next is whose turn it is in this class; there must be one.
func (c *class) next() *entry {
	if c.byDeadline.Len() > 0 && c.turns%longestWaitingEvery != longestWaitingEvery-1 {
		return c.byDeadline.entries[0]
	}
	return c.byArrival.entries[0]
}

// entryHeap implements heap.Interface. Entries know their position, so that each can
// be removed.
type entryHeap struct {
	kind    int
	before  func(a, b *entry) bool
	entries []*entry
}

// Len implements heap.Interface.
func (h *entryHeap) Len() int { return len(h.entries) }

// Less implements heap.Interface.
func (h *entryHeap) Less(i, j int) bool { return h.before(h.entries[i], h.entries[j]) }

// Swap implements heap.Interface.
func (h *entryHeap) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].position[h.kind], h.entries[j].position[h.kind] = i, j
}

// Push implements heap.Interface.
func (h *entryHeap) Push(added any) {
	e := added.(*entry)
	e.position[h.kind] = len(h.entries)
	h.entries = append(h.entries, e)
}

// Pop implements heap.Interface. A heap that has become much smaller than the memory
// it holds is moved to less.
func (h *entryHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	const small = 64
	if c := cap(h.entries); c > small && last < c/4 {
		h.entries = append(make([]*entry, 0, c/2), h.entries...)
	}
	return e
}
