// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// admissionTimeout is how long a slot is kept for a waiter that was woken. It has
	// only the work queue to pass, where those who were woken should go first.
	admissionTimeout = 2 * time.Second
	// rememberAdmission is how long one whose slot has lapsed still counts as woken,
	// and keeps its number of arrival.
	rememberAdmission = 2 * time.Minute
)

// crowd is who waits for which host; each host has their order.
type crowd struct {
	hosts map[*host]bool // those that somebody waits for
	who   map[types.NamespacedName]*host
}

// add adds somebody to those who wait for a host; who waited for another did so in
// vain. arrival is as in Order.add.
func (c *crowd) add(at *host, waiter Waiter, arrival uint64) {
	if c.who[waiter.Who] != at {
		c.remove(waiter.Who)
	}
	waiter.Class = at.classOf(waiter)
	at.waiting.add(waiter, arrival)
	c.who[waiter.Who] = at
	c.hosts[at] = true
}

// remove takes out somebody who waits no longer, if it did.
func (c *crowd) remove(who types.NamespacedName) {
	at := c.who[who]
	if at == nil {
		return
	}
	at.waiting.Remove(who)
	delete(c.who, who)
	if at.waiting.Len() == 0 {
		delete(c.hosts, at)
	}
}

// forget drops a host together with those who wait for it.
func (c *crowd) forget(at *host) {
	for who := range at.waiting.waiters {
		delete(c.who, who)
	}
	delete(c.hosts, at)
}
