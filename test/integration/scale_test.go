// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// Credentials that come before the operator are all due at the moment it starts.
func TestManyDueAtOnceAndARestart(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "1,000 due in the same second")
	faults.Shows(t, "a restart with 10,000 fresh credentials")
	const n = 100 // the benchmark has 10,000
	w := newWorld(t, simulator.Hour)
	w.verbosity = 5 // at which each look at a credential is logged
	var inFlight, most atomic.Int64
	w.simulator.Configure(func(o *simulator.Options) {
		o.Faults = func(simulator.Call) *simulator.Fault {
			now := inFlight.Add(1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			return &simulator.Fault{Delay: simulator.Millisecond} // long enough to overlap
		}
		o.Observe = func(simulator.Entry) { inFlight.Add(-1) }
	})
	w.createMany("due", n, builtInNamed(t, "oauth2-client-credentials"))
	operator := w.start()
	w.awaitAllReady(n)
	if calls := w.calls(); calls != n {
		t.Errorf("the provider got %d calls, want %d", calls, n)
	}
	if most.Load() > concurrency {
		t.Errorf("%d calls were made at once, want at most %d", most.Load(), concurrency)
	}
	operator.shutDown()

	before, calls, looks := w.versions(), w.calls(), w.journal.allLooks()
	operator = w.start()
	if !w.eventually(func() bool { return w.journal.allLooks() >= looks+n }) {
		t.Fatalf("after the restart %d credentials were looked at, want %d", w.journal.allLooks()-looks, n)
	}
	operator.shutDown()
	if diff := cmp.Diff(before, w.versions()); diff != "" {
		t.Errorf("the restart wrote something (-before +after):\n%s", diff)
	}
	if got := w.calls() - calls; got != 0 {
		t.Errorf("the restart led to %d calls, want none", got)
	}
}

func TestATenantThatFailsDelaysNobody(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "one tenant with 5,000 failing credentials")
	const failing, healthy, refreshes = 100, 5, 3 // the benchmark has 5,000
	w := newWorld(t, 40*simulator.Second)
	w.simulator.SetUnavailable(simulator.Match{Vendor: simulator.MCS}, true)
	w.start()
	var stops []func() int
	for i := range healthy {
		stops = append(stops, w.watchTarget(fmt.Sprint("good-", i)))
	}
	w.createMany("good", healthy, builtInNamed(t, "oauth2-client-credentials"), func(spec *v1alpha1.TokenCredentialSpec) { spec.Renewal.Percentage = 40 })
	for i := range healthy {
		w.awaitRefreshes(fmt.Sprint("good-", i), 1)
	}
	w.createMany("failing", failing, builtInNamed(t, "mcs"))
	for i := range healthy {
		w.awaitRefreshes(fmt.Sprint("good-", i), refreshes)
	}
	for i, stop := range stops { // the watch has reported any token that had expired
		if seen := stop(); seen < refreshes {
			t.Errorf("the watch saw %d tokens of good-%d, want %d", seen, i, refreshes)
		}
	}
	for i := range failing { // each was looked at, though its host is down and few were let through to it
		w.awaitCondition(fmt.Sprint("failing-", i), v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	}
	w.simulator.SetUnavailable(simulator.Match{Vendor: simulator.MCS}, false)
	w.awaitAllReady(failing + healthy)
}

// createMany creates credentials of a provider that share its Secrets.
func (w *world) createMany(prefix string, n int, b builtIn, change ...func(*v1alpha1.TokenCredentialSpec)) {
	w.t.Helper()
	var spec v1alpha1.TokenCredentialSpec
	b.create(w, append(change, func(s *v1alpha1.TokenCredentialSpec) {
		spec = *s.DeepCopy()
		s.Suspend = true // the first is a pattern for the others
	})...)
	must(w.t, w.Delete(w.t.Context(), w.look(b.provider)))
	spec.Target.Name = ""
	var group sync.WaitGroup
	next := make(chan int)
	for range 8 {
		group.Go(func() {
			for i := range next {
				credential := &v1alpha1.TokenCredential{
					ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("%s-%d", prefix, i)}, Spec: *spec.DeepCopy(),
				}
				if err := w.Create(w.t.Context(), credential); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

// awaitAllReady waits until so many credentials are Ready.
func (w *world) awaitAllReady(n int) {
	w.t.Helper()
	ready := 0
	// A list of so many is dear, so it is asked for less often than elsewhere.
	if wait.PollUntilContextTimeout(w.t.Context(), 200*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		var all v1alpha1.TokenCredentialList
		must(w.t, w.List(w.t.Context(), &all, client.InNamespace(w.namespace)))
		ready = 0
		for i := range all.Items {
			if meta.IsStatusConditionTrue(all.Items[i].Status.Conditions, v1alpha1.ReadyCondition) {
				ready++
			}
		}
		return ready == n, nil
	}) != nil {
		w.t.Fatalf("%d of %d credentials are Ready after %d calls", ready, n, w.calls())
	}
}
