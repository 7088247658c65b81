// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package turnstile lets a few of each namespace through at once where what they do takes
// memory or processor time: so a namespace takes no more of either than a few do, and waits
// for nobody but itself.
package turnstile

import (
	"context"
	"sync"
)

// Turnstile is safe for concurrent use. Make one with New.
type Turnstile struct {
	slots int

	mu         sync.Mutex
	namespaces map[string]*passage
}

// passage of one namespace, until nobody uses it.
type passage struct {
	slots chan struct{}
	users int
}

// New makes a turnstile that lets so many of a namespace through at once.
func New(slots int) *Turnstile {
	return &Turnstile{slots: slots, namespaces: map[string]*passage{}}
}

// Enter waits for a slot, until ctx ends; with no error, leave gives it back. Who holds one
// must not enter again.
func (t *Turnstile) Enter(ctx context.Context, namespace string) (leave func(), err error) {
	through := t.join(namespace)
	leave = func() { <-through.slots; t.quit(namespace) }
	select {
	case through.slots <- struct{}{}:
		return leave, nil
	default: // else a context that has ended might win over a slot that is free
	}
	select {
	case through.slots <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		t.quit(namespace)
		return nil, ctx.Err()
	}
}

func (t *Turnstile) join(namespace string) *passage {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.namespaces[namespace]
	if known == nil {
		known = &passage{slots: make(chan struct{}, t.slots)}
		t.namespaces[namespace] = known
	}
	known.users++
	return known
}

func (t *Turnstile) quit(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.namespaces[namespace]
	if known.users--; known.users == 0 {
		delete(t.namespaces, namespace)
	}
}
