// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "container/heap"

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
