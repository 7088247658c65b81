// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"container/list"
	"sync"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/sealed"
)

const (
	// remembered is how long it is known of an attempt that it was received, and how many
	// are: "never received" is said of no time before that.
	remembered    = time.Hour
	maxRemembered = 32 << 10

	// maxUnderWay is how many exchanges are under way at once: more than managers ask for.
	maxUnderWay = 4 << 10

	// maxSkew is how far the clock of a claim may be ahead, on the same machine.
	maxSkew = time.Minute
)

// entry is an attempt that is known of.
type entry struct {
	id string
	// namespace is whose share of the memory its content takes; empty: it was asked for in
	// vain, and has none.
	namespace string
	since     time.Time // when it was received, or asked for in vain
	// done is closed once its exchange has ended; nil: it was never received.
	done  chan struct{}
	ended bool
	// again is true once the second request under the claim was received.
	again bool
	// closed: nothing more is sent under its ID.
	closed bool
	// isKept is true while there is a reply that a manager has yet to save.
	isKept bool
	// content is what came of it, sealed, where that is not in a file.
	content []byte
}

// ledger remembers attempts. Who uses it holds its lock.
type ledger struct {
	sync.Mutex
	entries map[string]*list.Element
	order   list.List // of *entry, the oldest first
	// forgotten is when the latest of those was received that it remembers no more.
	forgotten time.Time
	underWay  int
	kept      int
	// bytes of contents that are not in files, by namespace, and in all.
	bytes map[string]int
	total int
}

func newLedger() *ledger {
	return &ledger{entries: map[string]*list.Element{}, bytes: map[string]int{}}
}

// hasRoom reports whether a namespace may have more in memory: half of what the others
// leave, as in files.
func (l *ledger) hasRoom(namespace string) bool {
	own := l.bytes[namespace]
	return own < (sealed.Capacity-(l.total-own))/2
}

func (l *ledger) of(id string) *entry {
	if known, ok := l.entries[id]; ok {
		return known.Value.(*entry)
	}
	return nil
}

func (l *ledger) add(id, namespace string, now time.Time) *entry {
	e := &entry{id: id, namespace: namespace, since: now}
	l.entries[id] = l.order.PushBack(e)
	l.evict(now)
	return e
}

// reception is what becomes of a request that arrives.
type reception struct {
	*entry
	// done is closed once the exchange has ended.
	done chan struct{}
	// isFirst is true where it is to be sent; else its reply is that of the one before.
	isFirst bool
}

// receive notes that a request arrives: the first of its attempt, or the second. Its error
// says why it is not sent.
func (l *ledger) receive(attempt Attempt, now time.Time) (reception, error) {
	e, again := l.of(attempt.ID), attempt.Again
	switch {
	case e != nil && e.done != nil && again == e.again:
		return reception{entry: e, done: e.done}, nil
	case e != nil && e.done != nil && !again:
		return reception{}, egress.Unanswered("the courier has received the request before, and another one since")
	case e != nil && e.closed:
		return reception{}, egress.NotSent("the attempt was given up meanwhile")
	case again && (e == nil || !e.ended):
		return reception{}, egress.NotSent("the courier does not know the reply to the first request of the attempt")
	case l.underWay >= maxUnderWay:
		return reception{}, egress.NotSent("the courier has as many exchanges under way as it may")
	case !l.hasRoom(attempt.Namespace):
		return reception{}, egress.NotSent("the courier has as many replies of this namespace in memory as it may that are not saved yet")
	}
	if e == nil {
		e = l.add(attempt.ID, attempt.Namespace, now)
	}
	e.done, e.ended, e.again = make(chan struct{}), false, again
	l.underWay++
	return reception{entry: e, done: e.done, isFirst: true}, nil
}

// end notes what came of an exchange. Content that is in a file is not kept in memory.
func (l *ledger) end(e *entry, content []byte, isReply bool) {
	l.replace(e, content)
	if isReply && !e.isKept {
		e.isKept = true
		l.kept++
	}
	e.ended = true
	l.underWay--
	close(e.done)
}

func (l *ledger) replace(e *entry, content []byte) {
	change := len(content) - len(e.content)
	l.total += change
	if l.bytes[e.namespace] += change; l.bytes[e.namespace] == 0 {
		delete(l.bytes, e.namespace)
	}
	e.content = content
}

// ask says what is known of an attempt. What has ended, or never began, is closed.
func (l *ledger) ask(question Question, instance string, now time.Time) (Fate, *entry) {
	e := l.of(question.Attempt)
	switch {
	case e == nil && (question.Courier != instance || !question.Started.After(l.forgotten) || question.Started.After(now.Add(maxSkew))):
		return Stranger, nil
	case e == nil:
		e = l.add(question.Attempt, "", now)
		e.closed = true
		return NeverReceived, e
	case e.done == nil:
		return NeverReceived, e
	case !e.ended:
		return UnderWay, e
	}
	e.closed = true
	return Ended, e
}

// saved notes that what an attempt brought is needed no more. That it was received stays
// known.
func (l *ledger) saved(id string) {
	if e := l.of(id); e != nil && e.ended {
		l.release(e)
		e.closed = true
	}
}

func (l *ledger) release(e *entry) {
	l.replace(e, nil)
	if e.isKept {
		e.isKept = false
		l.kept--
	}
}

// evict forgets what is too long ago, and the oldest where there are too many. What is
// under way, or in memory alone and not saved, is remembered for longer.
func (l *ledger) evict(now time.Time) {
	const atOnce = 64
	for range atOnce {
		oldest := l.order.Front()
		if oldest == nil {
			return
		}
		e := oldest.Value.(*entry)
		age := now.Sub(e.since)
		if age < remembered && l.order.Len() <= maxRemembered {
			return
		}
		if isNeeded := e.isKept && e.content != nil && age < sealed.LongestKept; e.done != nil && !e.ended || isNeeded {
			l.order.MoveToBack(oldest)
			continue
		}
		l.release(e)
		l.order.Remove(oldest)
		delete(l.entries, e.id)
		if e.since.After(l.forgotten) {
			l.forgotten = e.since
		}
	}
}
