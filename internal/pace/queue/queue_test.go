// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	_ "sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue" // registers the metrics, as every controller does
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/internal/pace"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// always describes every request alike.
func always(class pace.Class) func(reconcile.Request) pace.Waiter {
	return func(reconcile.Request) pace.Waiter { return pace.Waiter{Class: class, Deadline: noon} }
}

func start(t *testing.T, describe func(reconcile.Request) pace.Waiter, clock clock.WithTicker) Queue {
	t.Helper()
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, time.Minute)
	q := newQueue("", limiter, describe, clock)
	t.Cleanup(q.ShutDown)
	return q
}

func next(t *testing.T, q Queue) reconcile.Request {
	t.Helper()
	got, shutdown := q.Get()
	if shutdown {
		t.Fatal("the queue is shut down")
	}
	return got
}

func TestNamespacesTakeTurns(t *testing.T) {
	t.Parallel()
	q := start(t, always(pace.New), clocktesting.NewFakeClock(noon))
	for _, each := range []reconcile.Request{request("a", "1"), request("a", "2"), request("a", "3"), request("b", "1")} {
		q.Add(each)
	}
	var got []string
	for q.Len() > 0 {
		got = append(got, next(t, q).String())
	}
	if diff := cmp.Diff([]string{"a/1", "b/1", "a/2", "a/3"}, got); diff != "" {
		t.Errorf("a namespace with much to do delays another (-want +got):\n%s", diff)
	}
}

func TestARequestIsDescribedAgainWhenItIsAddedAgain(t *testing.T) {
	t.Parallel()
	deadlines := map[string]time.Time{"1": noon, "2": noon.Add(time.Hour)}
	q := start(t, func(r reconcile.Request) pace.Waiter { return pace.Waiter{Deadline: deadlines[r.Name]} }, clocktesting.NewFakeClock(noon))
	q.Add(request("a", "1"))
	q.Add(request("a", "2"))
	deadlines["2"] = noon.Add(-time.Hour)
	q.Add(request("a", "2"))
	if got := next(t, q); got.Name != "2" || q.Len() != 1 {
		t.Errorf("%s is first and %d more wait, want the one that has become urgent, once", got, q.Len())
	}
}

func TestARequestIsProcessedByOneWorkerAtATime(t *testing.T) {
	t.Parallel()
	q := start(t, always(pace.Renewal), clocktesting.NewFakeClock(noon))
	q.Add(request("a", "1"))
	first := next(t, q)
	q.Add(first)
	if q.Len() != 0 {
		t.Fatal("what is being processed is given to a second worker")
	}
	q.Done(first)
	if q.Len() != 1 {
		t.Error("what was added meanwhile is lost")
	}
}

func TestDelaysAndRateLimitsAreTheLibrarys(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		add    func(Queue)
		after  time.Duration
	}{
		"after a delay":       {"a renewal is planned", func(q Queue) { q.AddAfter(request("a", "1"), time.Minute) }, time.Minute},
		"after an error":      {"a reconcile failed", func(q Queue) { q.AddRateLimited(request("a", "1")) }, time.Second},
		"without a delay":     {"it is due", func(q Queue) { q.AddAfter(request("a", "1"), 0) }, 0},
		"at once, in between": {"an event beats the plan", func(q Queue) { q.AddAfter(request("a", "1"), time.Hour); q.Add(request("a", "1")) }, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := clocktesting.NewFakeClock(noon)
			q := start(t, always(pace.Renewal), fake)
			c.add(q)
			if c.after > 0 {
				// The library's goroutine has to take it in before time moves.
				err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
					return fake.Waiters() > 1, nil
				})
				if err != nil || q.Len() != 0 {
					t.Fatalf("%s: %d are ready too soon (%v)", c.reason, q.Len(), err)
				}
				fake.Step(c.after)
			}
			if got := next(t, q); got != request("a", "1") {
				t.Errorf("%s: got %s", c.reason, got)
			}
		})
	}
}

func TestShutDownEndsTheWorkers(t *testing.T) {
	t.Parallel()
	q := start(t, always(pace.Renewal), clock.RealClock{})
	q.ShutDown()
	if _, shutdown := q.Get(); !shutdown {
		t.Error("a worker goes on")
	}
}

func TestTheQueuesMetricsCarryItsName(t *testing.T) {
	t.Parallel()
	const name = "fair-queue-under-test"
	q := New(name, workqueue.DefaultTypedControllerRateLimiter[reconcile.Request](), always(pace.New))
	t.Cleanup(q.ShutDown)
	q.Add(request("a", "1"))
	next(t, q)
	for _, metric := range []string{"workqueue_adds_total", "workqueue_depth", "workqueue_queue_duration_seconds", "workqueue_unfinished_work_seconds", "workqueue_retries_total"} {
		if !hasSeries(t, metrics.Registry, metric, name) {
			t.Errorf("%s has no series of %s", metric, name)
		}
	}
}

func hasSeries(t *testing.T, registry prometheus.Gatherer, metric, queue string) bool {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				if label.GetName() == "name" && label.GetValue() == queue {
					return true
				}
			}
		}
	}
	return false
}
