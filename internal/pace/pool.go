// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// pool is a number of slots that hosts and namespaces share: each may have half of what
// the others leave, and one at least, as long as there is one.
type pool struct {
	size       int
	inFlight   int
	hosts      map[*host]int
	namespaces map[string]int
}

func newPool(size int) pool {
	return pool{size: size, hosts: map[*host]int{}, namespaces: map[string]int{}}
}

// room reports whether there is a slot for a namespace's call to a host.
func (p *pool) room(at *host, namespace string, class Class) bool {
	held := p.namespaces[namespace]
	return p.inFlight < p.size && p.hosts[at] < forClass(p.share(at), class) && held < half(p.size-(p.inFlight-held))
}

// share is how many slots a host may have.
func (p *pool) share(at *host) int { return half(p.size - (p.inFlight - p.hosts[at])) }

func (p *pool) add(at *host, namespace string, n int) {
	p.inFlight += n
	if p.hosts[at] += n; p.hosts[at] == 0 {
		delete(p.hosts, at)
	}
	if p.namespaces[namespace] += n; p.namespaces[namespace] == 0 {
		delete(p.namespaces, namespace)
	}
}

// half of the slots that others leave, and one at least.
func half(left int) int { return max(left/2, 1) }

// forClass is how many of a host's slots are for a class: half are not for those who fail.
func forClass(slots int, class Class) int {
	if class == Failing {
		return half(slots)
	}
	return slots
}

// hold is a slot that is held: by a call, or for one who was woken.
type hold struct {
	who     types.NamespacedName
	at      *host
	in      *pool
	calling bool
	since   time.Time // that it calls
}

// calls are the slots that are held.
type calls struct {
	held  map[types.NamespacedName]*hold
	begun []*hold // calls that are not slow yet, in the order in which they began
}

func (c *calls) begin(who types.NamespacedName, now time.Time) {
	if held := c.held[who]; held != nil && !held.calling {
		held.calling, held.since = true, now
		c.begun = append(c.begun, held)
	}
}

// lasting returns, once each, the calls that have become slow.
func (c *calls) lasting(now time.Time) []*hold {
	var slow []*hold
	for len(c.begun) > 0 && now.Sub(c.begun[0].since) >= slowAfter {
		held := c.begun[0]
		c.begun[0] = nil
		c.begun = c.begun[1:]
		if c.held[held.who] == held {
			slow = append(slow, held)
		}
	}
	return slow
}
