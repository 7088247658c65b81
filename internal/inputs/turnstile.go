// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"sync"
)

// readsAtOnce is how many Secrets of a namespace are read at once. A Secret may have a
// MiB, which takes three times as much while it is decoded, and no more than its size is
// known before: so a namespace takes some 24 MiB at most, where all workers would take
// 200. Small Secrets take milliseconds, and 8 at once are thousands a second.
const readsAtOnce = 8

// turnstile lets a few reads of each namespace through at once. The zero value is ready
// to use.
type turnstile struct {
	mu         sync.Mutex
	namespaces map[string]*passage
}

// passage of one namespace, until nobody uses it.
type passage struct {
	slots chan struct{}
	users int
}

// enter waits for a slot, until ctx ends; with no error, leave gives it back.
func (t *turnstile) enter(ctx context.Context, namespace string) (leave func(), err error) {
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

func (t *turnstile) join(namespace string) *passage {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.namespaces[namespace]
	if known == nil {
		known = &passage{slots: make(chan struct{}, readsAtOnce)}
		if t.namespaces == nil {
			t.namespaces = map[string]*passage{}
		}
		t.namespaces[namespace] = known
	}
	known.users++
	return known
}

func (t *turnstile) quit(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.namespaces[namespace]
	if known.users--; known.users == 0 {
		delete(t.namespaces, namespace)
	}
}
