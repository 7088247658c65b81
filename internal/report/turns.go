// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/queue"
)

// turns is the order in which statuses are written. Namespaces take turns, so that the
// transitions of one, however many, delay another's by a turn each. Within a namespace
// what is urgent goes first, but for every eighth turn, which goes to whatever has waited
// longest: so nothing waits for ever.
type turns struct {
	queue queue.Queue

	mu     sync.Mutex
	urgent map[types.NamespacedName]bool // of those that wait
	ended  bool
}

func newTurns() *turns {
	t := &turns{urgent: map[types.NamespacedName]bool{}}
	t.queue = queue.New("status", workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, longestRetry), t.describe)
	return t
}

// whenCalm is the deadline, to pace's order, of what is not urgent; what is has none, and
// so goes first.
var whenCalm = time.Unix(1, 0)

func (t *turns) describe(request reconcile.Request) pace.Waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiter := pace.Waiter{Class: pace.Renewal}
	if !t.urgent[request.NamespacedName] {
		waiter.Deadline = whenCalm
	}
	return waiter
}

// add has a writer come to a status. One that waits already may become urgent, and stays
// so.
func (t *turns) add(key types.NamespacedName, isUrgent bool) {
	t.mark(key, isUrgent)
	t.queue.Add(reconcile.Request{NamespacedName: key})
}

// retry is as add, after a pause that grows.
func (t *turns) retry(key types.NamespacedName, isUrgent bool) {
	t.mark(key, isUrgent)
	t.queue.AddRateLimited(reconcile.Request{NamespacedName: key})
}

func (t *turns) mark(key types.NamespacedName, isUrgent bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if isUrgent {
		t.urgent[key] = true
	}
}

// next waits for the next status, which nobody else gets before done; ok is false once
// end was called.
func (t *turns) next() (key types.NamespacedName, isUrgent, ok bool) {
	request, shutdown := t.queue.Get()
	t.mu.Lock()
	defer t.mu.Unlock()
	if shutdown || t.ended {
		return key, false, false
	}
	key = request.NamespacedName
	isUrgent = t.urgent[key]
	delete(t.urgent, key)
	return key, isUrgent, true
}

// end has next return at once from now on. Who waits is forgotten.
func (t *turns) end() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.queue.ShutDown()
}

// failures is how often a status in a row could not be written.
func (t *turns) failures(key types.NamespacedName) int {
	return t.queue.NumRequeues(reconcile.Request{NamespacedName: key})
}

// done ends what next began; written ends the count of failures too.
func (t *turns) done(key types.NamespacedName, written bool) {
	request := reconcile.Request{NamespacedName: key}
	if written {
		t.queue.Forget(request)
	}
	t.queue.Done(request)
}
