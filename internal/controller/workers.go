// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

// workers bounds how many credentials are worked on at once. One that waits for its
// provider takes none of them: it costs next to nothing, may last for half a minute, and
// is bounded by package pace. Make them with newWorkers.
type workers struct {
	mu   sync.Mutex
	some sync.Cond // some are free
	free int       // less than 0 where exchanges have ended since the last one was taken
}

func newWorkers(n int) *workers {
	w := &workers{free: n}
	w.some.L = &w.mu
	return w
}

// take waits for a worker.
func (w *workers) take() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.free <= 0 {
		w.some.Wait()
	}
	w.free--
}

// give gives a worker back.
func (w *workers) give() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free++
	w.some.Signal()
}

// retake is as take, and does not wait: a token that has come must be saved.
func (w *workers) retake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free--
}

// working is a queue that hands an item out to a worker alone: whoever asks for one waits
// for a worker first, so that the order is the queue's.
type working struct {
	queue
	workers *workers
}

// Get implements workqueue.TypedInterface.
func (w working) Get() (request reconcile.Request, shutdown bool) {
	w.workers.take()
	request, shutdown = w.queue.Get()
	if shutdown {
		w.workers.give()
	}
	return request, shutdown
}

// Done implements workqueue.TypedInterface.
func (w working) Done(request reconcile.Request) {
	w.queue.Done(request)
	w.workers.give()
}

// exchanging has each exchange give its worker back until it has ended.
type exchanging struct {
	egress.Caller
	workers *workers
}

// Do implements egress.Caller.
func (e exchanging) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	e.workers.give()
	defer e.workers.retake()
	return e.Caller.Do(request, singleUse)
}
