// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"container/list"
	"sync"

	eventsv1 "k8s.io/api/events/v1"
)

// outbox holds the events that wait to be posted. Namespaces take turns, so that the
// events of one, however many, delay another's by a turn each. Where too many wait, the
// namespace of which most do loses its oldest. A zero value with most set is ready to use.
type outbox struct {
	most int

	mu         sync.Mutex
	namespaces map[string]*list.Element // of *letters
	turns      list.List                // of *letters, the next one first
	waiting    int
	added      chan struct{} // holds one while somebody may wait for what was added
}

// letters are the events of a namespace, the oldest first.
type letters struct {
	namespace string
	events    list.List // of *eventsv1.Event
}

// add adds an event, and returns the one that had to go for it; nil: none.
func (o *outbox) add(event *eventsv1.Event) (dropped *eventsv1.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	turn := o.namespaces[event.Namespace]
	if turn == nil {
		if o.namespaces == nil {
			o.namespaces = map[string]*list.Element{}
		}
		turn = o.turns.PushBack(&letters{namespace: event.Namespace})
		o.namespaces[event.Namespace] = turn
	}
	turn.Value.(*letters).events.PushBack(event)
	if o.waiting++; o.waiting > o.most {
		dropped = o.remove(o.largest(turn))
	}
	select {
	case o.news() <- struct{}{}:
	default:
	}
	return dropped
}

// largest is the namespace of which most wait; where several have as many, the one given.
func (o *outbox) largest(turn *list.Element) *list.Element {
	for _, other := range o.namespaces {
		if other.Value.(*letters).events.Len() > turn.Value.(*letters).events.Len() {
			turn = other
		}
	}
	return turn
}

// next takes the event out whose turn it is; nil: none waits.
func (o *outbox) next() *eventsv1.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	turn := o.turns.Front()
	if turn == nil {
		return nil
	}
	o.turns.MoveToBack(turn)
	return o.remove(turn)
}

// remove takes out the oldest event of a namespace.
func (o *outbox) remove(turn *list.Element) *eventsv1.Event {
	from := turn.Value.(*letters)
	event := from.events.Remove(from.events.Front()).(*eventsv1.Event)
	if from.events.Len() == 0 {
		o.turns.Remove(turn)
		delete(o.namespaces, from.namespace)
	}
	o.waiting--
	return event
}

// arrived receives when an event may have been added since next returned nil.
func (o *outbox) arrived() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.news()
}

func (o *outbox) news() chan struct{} {
	if o.added == nil {
		o.added = make(chan struct{}, 1)
	}
	return o.added
}
