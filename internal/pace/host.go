// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "time"

const (
	// downAfter is how many calls in a row must fail for a host to count as down.
	downAfter = 5
	// suspectAfter is how many do for one namespace once several have seen failures
	// and nobody a success: the others' failures then speak for its own.
	suspectAfter = 2
	// firstProbe is how soon a host that is down is tried again; the pause doubles
	// up to longestProbe, or to costlyProbe where the call may have cost a token.
	firstProbe   = time.Second
	longestProbe = 5 * time.Second
	costlyProbe  = 30 * time.Second
	// rememberHost is how long failures at a host, and what limit it bears, count
	// after the last call to it.
	rememberHost = 10 * time.Minute
)

// host is what is known of one.
type host struct {
	name     string
	inFlight int // calls made, and slots kept for those who were woken
	limit    int // of concurrent calls that it seems to bear
	tenants  map[string]*tenant
	waiting  Order
	used     time.Time

	unreached int       // failures in a row to connect, of all namespaces
	probeAt   time.Time // while unreachable
	failures  int       // calls in a row that connected and failed, of all namespaces
	suspect   bool      // enough of these, and in several namespaces
	backAt    time.Time // when it last ceased to be unreachable or suspect

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

// unreachable reports whether nobody can connect.
func (at *host) unreachable() bool { return at.unreached >= downAfter }

// down reports whether the host counts as down for a namespace.
func (at *host) down(namespace string) bool {
	t := at.tenants[namespace]
	return at.unreachable() || t != nil && at.fails(t)
}

// fails reports whether the host counts as down by a namespace's own failures.
func (at *host) fails(t *tenant) bool {
	return t.failures >= downAfter || at.suspect && t.failures >= suspectAfter
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
		at.connected(now)
		t.failures++
		at.failures++
		at.strain(namespace, t)
		at.suspect = at.failures >= downAfter && at.seenFailing() > 1
		if at.fails(t) {
			t.probeAt = now.Add(probePause(t.failures-downAfter, answer))
		}
	case Unreachable:
		at.unreached++
		at.limit = max(at.limit/2, 1)
		if at.unreachable() {
			at.probeAt = now.Add(probePause(at.unreached-downAfter, answer))
		}
	case Unasked:
	}
}

// answered notes that the host serves a namespace. If it was suspect it may be back
// for the others too: each of them may try it with one call.
func (at *host) answered(t *tenant, now time.Time) {
	at.connected(now)
	if at.fails(t) {
		t.backAt = now
	}
	t.failures = 0
	if at.suspect {
		at.backAt = now
		for _, other := range at.tenants {
			if other.failures >= suspectAfter {
				other.failures, other.limit = min(other.failures, downAfter-1), 1
			}
		}
	}
	at.failures, at.suspect = 0, false
}

// connected notes that the host can be reached.
func (at *host) connected(now time.Time) {
	if at.unreachable() {
		at.backAt = now
	}
	at.unreached = 0
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

// seenFailing is how many namespaces have seen several failures in a row.
func (at *host) seenFailing() int {
	seen := 0
	for _, t := range at.tenants {
		if t.failures >= suspectAfter {
			seen++
		}
	}
	return seen
}

// probePause is how long a host is left alone after so many probes in vain, of which
// the last brought that answer.
func probePause(probes int, answer Answer) time.Duration {
	longest := longestProbe
	if answer == Unclear {
		longest = costlyProbe
	}
	return min(firstProbe<<min(max(probes, 0), 10), longest)
}

// forgetTenant drops what is known of a namespace if it makes no difference, or has
// not been used for long.
func (at *host) forgetTenant(namespace string, workers int, now time.Time) {
	t := at.tenants[namespace]
	if t == nil || t.inFlight > 0 {
		return
	}
	if isNew := t.failures == 0 && t.limit == workers && t.backAt.IsZero(); isNew || now.Sub(t.used) > rememberHost {
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
