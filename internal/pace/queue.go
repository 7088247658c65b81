// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"container/heap"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// queue holds who waits, each once, in the order of their deadlines, and behind all
// of these, in that order too, who failed by itself.
type queue struct {
	entries entries
	places  map[types.NamespacedName]*entry
}

type entry struct {
	who      types.NamespacedName
	behind   bool
	deadline time.Time
	place    int
}

func (q *queue) len() int { return len(q.entries) }

func (q *queue) add(asker Asker, behind bool) {
	if known, waits := q.places[asker.Who]; waits {
		known.deadline, known.behind = asker.Deadline, behind
		heap.Fix(&q.entries, known.place)
		return
	}
	if q.places == nil {
		q.places = map[types.NamespacedName]*entry{}
	}
	added := &entry{who: asker.Who, deadline: asker.Deadline, behind: behind}
	q.places[asker.Who] = added
	heap.Push(&q.entries, added)
}

// first of those who wait; there must be one.
func (q *queue) first() *entry { return q.entries[0] }

func (q *queue) pop() types.NamespacedName {
	first := heap.Pop(&q.entries).(*entry)
	delete(q.places, first.who)
	return first.who
}

func (q *queue) remove(who types.NamespacedName) {
	if known, waits := q.places[who]; waits {
		heap.Remove(&q.entries, known.place)
		delete(q.places, who)
	}
}

// entries implement heap.Interface.
type entries []*entry

func (e entries) Len() int { return len(e) }

func (e entries) Less(i, j int) bool {
	if e[i].behind != e[j].behind {
		return e[j].behind
	}
	return e[i].deadline.Before(e[j].deadline)
}

func (e entries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

// Push implements heap.Interface.
func (e *entries) Push(added any) {
	entry := added.(*entry)
	entry.place = len(*e)
	*e = append(*e, entry)
}

// Pop implements heap.Interface.
func (e *entries) Pop() any {
	last := (*e)[len(*e)-1]
	(*e)[len(*e)-1] = nil
	*e = (*e)[:len(*e)-1]
	return last
}
