// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "time"

// rememberHost is how long failures at a host, and what limit it bears, count after the
// last call to it.
const rememberHost = 10 * time.Minute

// host is what is known of one: the calls to it, who waits for it, and how many calls it
// bears.
type host struct {
	name     string
	inFlight int // calls made, and slots kept for those who were woken
	limit    int // of concurrent calls that it seems to bear
	tenants  map[string]*tenant
	waiting  Order
	used     time.Time

	breaker

	// strained is the first namespace that was not served since one last was, and
	// allStrained whether others were not either.
	strained    string
	allStrained bool
}

// tenant is what is known of a host as one namespace sees it. Its calls may fail where
// others' succeed, by a path of the URL or an account of its own.
type tenant struct {
	inFlight int
	limit    int
	failures int  // in a row
	unserved bool // the last call that connected was not served
	probeAt  time.Time
	backAt   time.Time
	used     time.Time
}

// classOf is the class that a waiter has at this host. A failure that an outage of
// the host explains is ignored: it goes by its deadline again.
func (at *host) classOf(waiter Waiter) Class {
	if waiter.Class != Failing {
		return waiter.Class
	}
	backAt := at.backAt
	if t := at.tenants[waiter.Who.Namespace]; t != nil && t.backAt.After(backAt) {
		backAt = t.backAt
	}
	switch {
	case !at.down(waiter.Who.Namespace) && (waiter.FailedAt.IsZero() || waiter.FailedAt.After(backAt)):
		return Failing
	case waiter.Deadline.IsZero():
		return New
	default:
		return Renewal
	}
}

// tenant of a namespace that makes a call; a new one is limited by the workers alone.
func (at *host) tenant(namespace string, workers int, now time.Time) *tenant {
	t := at.tenants[namespace]
	if t == nil {
		t = &tenant{limit: workers}
		at.tenants[namespace] = t
	}
	t.used, at.used = now, now
	return t
}

// note takes in how a namespace's call went.
func (at *host) note(namespace string, answer Answer, workers int, now time.Time) {
	t := at.tenant(namespace, workers, now)
	switch answer {
	case Served:
		at.answered(t, now)
		at.strained, at.allStrained = "", false
		t.unserved = false
		at.limit, t.limit = min(at.limit+1, workers), min(t.limit+1, workers)
	case Throttled:
		at.answered(t, now)
		at.strain(namespace, t)
	case Unavailable, Unclear:
		at.failed(t, answer, now)
		at.strain(namespace, t)
	case Unreachable:
		at.missed(answer, now)
		at.limit = max(at.limit/2, 1)
	case Unasked:
	}
}

// strain makes a namespace's calls fewer, and those of all if it is not the only one
// that the host does not serve: its trouble may be of its own making.
func (at *host) strain(namespace string, t *tenant) {
	t.unserved = true
	t.limit = max(t.limit/2, 1)
	if at.strained == "" {
		at.strained = namespace
	}
	at.allStrained = at.allStrained || at.strained != namespace
	if at.allStrained {
		at.limit = max(at.limit/2, 1)
	}
}

// forgetTenant drops what is known of a namespace if it makes no difference, or has
// not been used for long.
func (at *host) forgetTenant(namespace string, workers int, now time.Time) {
	t := at.tenants[namespace]
	if t == nil || t.inFlight > 0 {
		return
	}
	if isNew := t.failures == 0 && !t.unserved && t.limit == workers && t.backAt.IsZero(); isNew || now.Sub(t.used) > rememberHost {
		delete(at.tenants, namespace)
	}
}

// idle reports whether what is known of the host makes no difference, or has not been
// used for long.
func (at *host) idle(workers int, now time.Time) bool {
	if at.inFlight > 0 {
		return false
	}
	isNew := len(at.tenants)+at.waiting.Len()+at.failures+at.unreached == 0 && at.limit == workers && at.backAt.IsZero()
	return isNew || now.Sub(at.used) > rememberHost
}
