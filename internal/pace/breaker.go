// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "time"

// Answer is how a call went, as far as the host matters.
type Answer string

const (
	// Served: the host answered, whatever it said.
	Served Answer = "Served"
	// Throttled: it asks for fewer calls.
	Throttled Answer = "Throttled"
	// Unreachable: there was no connection (DNS, dial, TLS), and so nothing was sent.
	// That says something of the host for everybody, so it must not be said of a
	// handshake that failed by the credential's own client certificate.
	Unreachable Answer = "Unreachable"
	// Unavailable: it was reached, and gave no answer or cannot serve. That may be of
	// the credential's own making, such as the path that it calls.
	Unavailable Answer = "Unavailable"
	// Unclear: as Unavailable, and what was sent works once and may be spent. Each
	// such call may need a person's attention, so they are made more seldom.
	Unclear Answer = "Unclear"
	// Unasked: the call was not made after all.
	Unasked Answer = "Unasked"
)

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
)

// breaker counts the failures at a host that speak for all: who cannot connect, and
// whether several namespaces see failures. What each namespace sees is in its tenant.
type breaker struct {
	unreached int       // failures in a row to connect, of all namespaces
	probeAt   time.Time // while unreachable
	failures  int       // calls in a row that connected and failed, of all namespaces
	suspect   bool      // enough of these, and in several namespaces
	backAt    time.Time // when it last ceased to be unreachable or suspect
}

// unreachable reports whether nobody can connect.
func (b *breaker) unreachable() bool { return b.unreached >= downAfter }

// down reports whether the host counts as down for a namespace.
func (at *host) down(namespace string) bool {
	t := at.tenants[namespace]
	return at.unreachable() || t != nil && at.fails(t)
}

// fails reports whether the host counts as down by a namespace's own failures.
func (b *breaker) fails(t *tenant) bool {
	return t.failures >= downAfter || b.suspect && t.failures >= suspectAfter
}

// failed notes a call of a namespace that connected and failed.
func (at *host) failed(t *tenant, answer Answer, now time.Time) {
	at.connected(now)
	t.failures++
	at.failures++
	at.suspect = at.failures >= downAfter && at.seenFailing() > 1
	if at.fails(t) {
		t.probeAt = now.Add(probePause(t.failures-downAfter, answer))
	}
}

// missed notes that there was no connection.
func (b *breaker) missed(answer Answer, now time.Time) {
	b.unreached++
	if b.unreachable() {
		b.probeAt = now.Add(probePause(b.unreached-downAfter, answer))
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
func (b *breaker) connected(now time.Time) {
	if b.unreachable() {
		b.backAt = now
	}
	b.unreached = 0
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
