// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// downAfter is how many calls in a row a host must leave without an answer to
	// count as down.
	downAfter = 5
	// firstProbe is how soon a host that is down is tried again; the pause doubles
	// up to longestProbe, or to dearestProbe where the call may have cost a token.
	firstProbe   = time.Second
	longestProbe = 5 * time.Second
	dearestProbe = 30 * time.Second
)

// Answer is how a call went, as far as the host matters.
type Answer string

const (
	// Served: the host answered, whatever it said.
	Served Answer = "Served"
	// Throttled: it asks for fewer calls.
	Throttled Answer = "Throttled"
	// Unavailable: it could not be reached, gave no answer, or cannot serve.
	Unavailable Answer = "Unavailable"
	// Unclear: as Unavailable, and what was sent works once and may be spent. Each
	// such call may leave somebody to a person's care.
	Unclear Answer = "Unclear"
	// Unasked: the call was not made after all.
	Unasked Answer = "Unasked"
)

// Asker is who wants to make a call.
type Asker struct {
	Who types.NamespacedName
	// Deadline is by when it wants a token.
	Deadline time.Time
	// FailedAt is when its last attempt failed; zero: it did not.
	FailedAt time.Time
}

// Verdict is whether a call may be made.
type Verdict string

const (
	// Go ahead, and Leave afterwards.
	Go Verdict = "Go"
	// Busy: as many calls are under way to the host as may be. Whoever was told
	// so is woken when there is room.
	Busy Verdict = "Busy"
	// Down: the host has left call after call without an answer. Whoever was told
	// so is woken when it is back.
	Down Verdict = "Down"
)

// Hosts bounds the calls that are under way to each host, so that a slow one holds
// up nobody but its own credentials: a host gets half of the workers that the
// others leave, and who fails there by itself half of these. One that is down is
// probed by one call at a time, and what waits for it goes slowly at first once it is
// back. Safe for concurrent use.
type Hosts struct {
	workers int
	wake    func(types.NamespacedName)

	mu       sync.Mutex
	underway int // calls to all hosts, made or admitted
	hosts    map[string]*host
	admitted map[types.NamespacedName]string // woken, to make a call to this host
}

// host is what is known of one.
type host struct {
	underway int
	limit    int // what it seems to bear
	failures int // calls in a row without an answer
	probeAt  time.Time
	backAt   time.Time // when it last ceased to be down
	waiting  queue
}

func (h *host) down() bool { return h.failures >= downAfter }

// isBehind tells whether somebody has failed while the host was well. Thousands that
// fail by themselves must not delay one that does not: they go behind all others, and
// half of the places are not for them.
func (h *host) isBehind(asker Asker) bool {
	return !h.down() && asker.FailedAt.After(h.backAt)
}

// answered notes that the host is well.
func (h *host) answered(now time.Time) {
	if h.down() {
		h.backAt = now
	}
	h.failures = 0
}

// NewHosts shares the workers among all hosts. wake is called for who was told to
// wait and may now go; it must not block.
func NewHosts(workers int, wake func(types.NamespacedName)) *Hosts {
	return &Hosts{workers: workers, wake: wake, hosts: map[string]*host{}, admitted: map[types.NamespacedName]string{}}
}

// Enter asks to make a call to a host. Who must wait goes by deadline, earliest
// first; who has failed by itself goes behind all others.
func (h *Hosts) Enter(name string, asker Asker, now time.Time) Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.at(name)
	if kept, admitted := h.admitted[asker.Who]; admitted {
		delete(h.admitted, asker.Who)
		if kept == name {
			return Go
		}
		h.give(h.at(kept)) // it asks another host now
	}
	if behind := at.isBehind(asker); h.room(at, behind, now) <= 0 {
		at.waiting.add(asker, behind)
		if at.down() {
			return Down
		}
		return Busy
	}
	at.waiting.remove(asker.Who)
	h.take(at)
	return Go
}

// Full tells whether there is no room at a host. If so, who asks is woken when
// there is.
func (h *Hosts) Full(name string, asker Asker, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, known := h.hosts[name]
	if !known || at.down() || h.admitted[asker.Who] == name {
		return false // Where it is down the credential has to say so.
	}
	behind := at.isBehind(asker)
	if h.room(at, behind, now) > 0 {
		return false
	}
	at.waiting.add(asker, behind)
	return true
}

// Leave ends a call that Enter let go. Where the host is down, who has made it is
// woken when it is back, unless patient: told by the host when to come again.
func (h *Hosts) Leave(name string, asker Asker, answer Answer, patient bool, now time.Time) {
	h.mu.Lock()
	at := h.at(name)
	h.give(at)
	switch answer {
	case Served:
		at.answered(now)
		at.limit = min(at.limit+1, h.workers)
	case Throttled:
		at.answered(now)
		at.limit = max(at.limit/2, 1)
	case Unavailable, Unclear:
		at.failures++
		at.limit = max(at.limit/2, 1)
		if at.down() {
			at.probeAt = now.Add(probePause(at.failures-downAfter, answer))
			if !patient {
				at.waiting.add(asker, false)
			}
		}
	case Unasked:
	}
	h.admitAndUnlock(now)
}

// probePause is how long a host is left alone after so many probes in vain, of which
// the last brought that answer.
func probePause(probes int, answer Answer) time.Duration {
	longest := longestProbe
	if answer == Unclear {
		longest = dearestProbe
	}
	return min(firstProbe<<min(probes, 10), longest)
}

// Admitted tells whether somebody was woken to make a call, whenever its next
// attempt was planned for.
func (h *Hosts) Admitted(who types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, admitted := h.admitted[who]
	return admitted
}

// Yield gives up the place of who was woken and makes no call after all.
func (h *Hosts) Yield(who types.NamespacedName, now time.Time) {
	h.mu.Lock()
	name, admitted := h.admitted[who]
	if !admitted {
		h.mu.Unlock()
		return
	}
	delete(h.admitted, who)
	h.give(h.at(name))
	h.admitAndUnlock(now)
}

func (h *Hosts) at(name string) *host {
	known, ok := h.hosts[name]
	if !ok {
		known = &host{limit: h.workers}
		h.hosts[name] = known
	}
	return known
}

// room is how many more calls may be made to a host, by those who fail by themselves
// or by the others.
func (h *Hosts) room(at *host, behind bool, now time.Time) int {
	if at.down() {
		if now.Before(at.probeAt) {
			return 0
		}
		return 1 - at.underway
	}
	others := h.underway - at.underway
	places := min(at.limit, max((h.workers-others)/2, 1))
	if behind {
		places = max(places/2, 1)
	}
	return places - at.underway
}

func (h *Hosts) take(at *host) { at.underway++; h.underway++ }
func (h *Hosts) give(at *host) { at.underway--; h.underway-- }

// admitAndUnlock keeps places for those who wait and now have room, and wakes them.
// A host that is down is probed by who comes by itself. Hosts of which there is
// nothing to remember are forgotten.
func (h *Hosts) admitAndUnlock(now time.Time) {
	var woken []types.NamespacedName
	for name, at := range h.hosts {
		for !at.down() && at.waiting.len() > 0 && h.room(at, at.waiting.first().behind, now) > 0 {
			who := at.waiting.pop()
			if _, elsewhere := h.admitted[who]; elsewhere {
				continue
			}
			h.admitted[who] = name
			h.take(at)
			woken = append(woken, who)
		}
		if at.underway == 0 && at.waiting.len() == 0 && at.failures == 0 && at.limit == h.workers {
			delete(h.hosts, name)
		}
	}
	h.mu.Unlock()
	for _, who := range woken {
		h.wake(who)
	}
}
