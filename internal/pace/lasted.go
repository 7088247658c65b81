// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/lru"
)

const (
	// slowAfter is how long a call may last and still be quick. A token endpoint answers
	// within some hundred milliseconds, and a token that is due must not wait for longer
	// than this second behind calls that do not end.
	slowAfter = time.Second
	// rememberSlow is how long a namespace's calls count as slow, where they are not known
	// to be quick, after one was. Without it each of them would take a worker for another
	// second.
	rememberSlow = 10 * time.Minute
	// maxQuick bounds what is remembered of who is quick, in bytes: some 20,000 hosts as
	// namespaces see them. The namespace that has most loses first what it has not used
	// for longest.
	maxQuick = 4 << 20
	// quickOverhead is what one of these takes beside its names.
	quickOverhead = 192
)

// tempo is how long calls last.
type tempo uint8

const (
	unknown tempo = iota
	knownQuick
	knownSlow
)

// lasted remembers how long calls lasted. A host that was slow for one namespace may be
// quick for another: it may be the path, or the account.
type lasted struct {
	quickly *lru.Cache[hostOf, struct{}]
	slowly  map[string]time.Time // when a namespace last made a slow call
}

// hostOf is a host as a namespace sees it.
type hostOf struct{ namespace, host string }

func newLasted() lasted {
	owner := func(of hostOf, _ struct{}) string { return of.namespace }
	return lasted{quickly: lru.New[hostOf, struct{}](maxQuick, owner), slowly: map[string]time.Time{}}
}

// known is what to expect of the next call of a namespace to a host: what the last one
// was, if that was quick. Else a namespace with slow calls elsewhere is expected to make
// one more, until that is forgotten: hosts can be named without end.
func (l *lasted) known(host, namespace string) tempo {
	if _, isQuick := l.quickly.Get(hostOf{namespace, host}); isQuick {
		return knownQuick
	}
	if _, isSlow := l.slowly[namespace]; isSlow {
		return knownSlow
	}
	return unknown
}

func (l *lasted) quick(host, namespace string) {
	l.quickly.Put(hostOf{namespace, host}, struct{}{}, len(host)+len(namespace)+quickOverhead)
}

func (l *lasted) slow(host, namespace string, now time.Time) {
	l.quickly.Drop(hostOf{namespace, host})
	l.slowly[namespace] = now
}

// forget namespaces that count as slow no more, and report whether there were any.
func (l *lasted) forget(now time.Time) (some bool) {
	for namespace, at := range l.slowly {
		if now.Sub(at) >= rememberSlow {
			delete(l.slowly, namespace)
			some = true
		}
	}
	return some
}
