// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	fairqueue "github.com/tokenkeeper/tokenkeeper/internal/pace/queue"
)

// hanging is a provider that answers when it is told to.
type hanging struct {
	egress.Caller
	called, answer chan struct{}
}

func (h *hanging) Do(*egress.Request, bool) (*egress.Reply, error) {
	h.called <- struct{}{}
	<-h.answer
	return nil, nil
}

func queueOfWorkers(t *testing.T, workers *workers) queue {
	inner := fairqueue.New(t.Name(), workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, time.Second),
		func(reconcile.Request) pace.Waiter { return pace.Waiter{Class: pace.New} })
	t.Cleanup(inner.ShutDown)
	return working{inner, workers}
}

func requestOf(namespace, name string) reconcile.Request {
	request := reconcile.Request{}
	request.Namespace, request.Name = namespace, name
	return request
}

// TestAnExchangeHoldsNoWorker hangs where it does.
func TestAnExchangeHoldsNoWorker(t *testing.T) {
	t.Parallel()
	workers, provider := newWorkers(1), &hanging{called: make(chan struct{}), answer: make(chan struct{})}
	queue, caller := queueOfWorkers(t, workers), exchanging{provider, workers}
	ended := make(chan string)
	go func() {
		request, _ := queue.Get()
		_, _ = caller.Do(nil, true)
		queue.Done(request)
		ended <- request.Name
	}()
	queue.Add(requestOf("a", "calls"))
	<-provider.called
	queue.Add(requestOf("a", "looks"))
	request, _ := queue.Get()
	if request.Name != "looks" {
		t.Fatalf("%s is handed out, want the other one", request.Name)
	}
	close(provider.answer)
	if name := <-ended; name != "calls" { // it need not wait for the worker that looks
		t.Errorf("%s ended, want the one that called", name)
	}
	queue.Done(request)
	if workers.free != 1 {
		t.Errorf("%d workers are free in the end, want 1", workers.free)
	}
}

// TestWhoWaitsForAWorkerIsStillInTheQueue: else the order would be that of yesterday.
func TestWhoWaitsForAWorkerIsStillInTheQueue(t *testing.T) {
	t.Parallel()
	queue := queueOfWorkers(t, newWorkers(1))
	for _, name := range []string{"1", "2", "3"} {
		queue.Add(requestOf("flood", name))
	}
	first, _ := queue.Get()
	next := make(chan reconcile.Request)
	for range 2 {
		go func() {
			request, _ := queue.Get()
			next <- request
			queue.Done(request)
		}()
	}
	queue.Add(requestOf("shop", "1"))
	queue.Done(first)
	if got := []string{(<-next).Namespace, (<-next).Namespace}; got[0] == got[1] {
		t.Errorf("the next two are of %v, want one of each namespace", got)
	}
}

func TestWorkersEndWithTheirQueue(t *testing.T) {
	t.Parallel()
	queue, ended := queueOfWorkers(t, newWorkers(1)), make(chan bool)
	for range 3 {
		go func() {
			_, shutdown := queue.Get()
			ended <- shutdown
		}()
	}
	queue.ShutDown()
	for range 3 { // a test that hangs here shows that one of them does not end
		if !<-ended {
			t.Error("something was handed out")
		}
	}
}
