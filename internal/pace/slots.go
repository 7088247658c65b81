// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "time"

// slots shares the workers among the hosts and the namespaces, and counts the calls in
// flight, made or admitted.
type slots struct {
	workers    int
	inFlight   int            // to all hosts
	namespaces map[string]int // in flight
	freed      bool           // somebody who waits may have room since it was last looked
}

// room reports whether somebody of a namespace and class may call a host now.
func (s *slots) room(at *host, namespace string, class Class, now time.Time) bool {
	if at.unreachable() {
		return at.inFlight == 0 && !now.Before(at.probeAt)
	}
	most, held := s.most(at, namespace), s.namespaces[namespace]
	if class == Failing {
		most = max(most/2, 1)
	}
	if at.inFlight >= most || held >= half(s.workers-(s.inFlight-held)) {
		return false
	}
	t := at.tenants[namespace]
	switch {
	case t == nil || t.inFlight == 0:
		return t == nil || !at.fails(t) || !now.Before(t.probeAt)
	case at.fails(t) || at.suspect:
		return false // one call at a time
	default:
		return t.inFlight < t.limit
	}
}

// most is how many calls to a host may be in flight if one of a namespace is the last of
// them. For its only call the limit of the host is ignored, unless it has seen for
// itself that the host does not serve: else those who strain the host, and hold its
// slots with calls that end in a time-out, would keep it from others whom it serves.
func (s *slots) most(at *host, namespace string) int {
	share := s.share(at)
	if t := at.tenants[namespace]; t == nil || t.inFlight == 0 && !t.unserved {
		return share
	}
	return min(at.limit, share)
}

// share is how many workers a host may have.
func (s *slots) share(at *host) int { return half(s.workers - (s.inFlight - at.inFlight)) }

// half of the workers that others leave, and one at least.
func half(left int) int { return max(left/2, 1) }

func (s *slots) take(at *host, namespace string, now time.Time) {
	at.tenant(namespace, s.workers, now).inFlight++
	at.inFlight++
	s.inFlight++
	s.namespaces[namespace]++
}

// give gives back a slot, if one is held.
func (s *slots) give(at *host, namespace string) {
	t := at.tenants[namespace]
	if t == nil || t.inFlight == 0 {
		return
	}
	t.inFlight--
	at.inFlight--
	s.inFlight--
	s.freed = true
	if s.namespaces[namespace]--; s.namespaces[namespace] == 0 {
		delete(s.namespaces, namespace)
	}
}
