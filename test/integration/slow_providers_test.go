// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// Providers of several namespaces do not answer, and hold as many calls as there are
// workers. Another namespace gets its token while none of these has ended.
func TestProvidersThatDoNotAnswerHoldNoWorker(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "namespaces without number whose providers do not answer")
	w := newWorld(t, simulator.Hour)
	well, hold := w.namespace, make(chan struct{})
	w.simulator.QueueFault(simulator.Match{Vendor: simulator.OAuth}, 1000, simulator.Fault{Until: hold})
	w.namespaces = []string{well}
	for range concurrency {
		hostile := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-hostile-"}}
		must(t, w.Create(t.Context(), hostile))
		w.namespace, w.namespaces = hostile.Name, append(w.namespaces, hostile.Name)
		w.createMany("slow", 3, builtInNamed(t, service))
	}
	w.start()
	t.Cleanup(func() { close(hold) }) // before the operator's end, which waits for its calls
	// As many as there are workers: of namespaces that are known to be slow no more are made.
	if !w.eventually(func() bool { return w.calls() >= concurrency }) {
		t.Fatalf("%d calls are under way, want as many as there are workers", w.calls())
	}
	w.namespace = well
	newcomer := builtInNamed(t, "xiaomi")
	newcomer.create(w)
	got := w.awaitFresh(newcomer.provider).Status.LastRefreshTime
	for _, hostile := range w.namespaces[1:] {
		var others v1alpha1.TokenCredentialList
		must(t, w.List(t.Context(), &others, client.InNamespace(hostile)))
		for _, other := range others.Items {
			if last := other.Status.LastAttempt; last != nil && last.Time.Before(got) {
				t.Fatalf("%s/%s had an outcome at %s, before the newcomer's token at %s: its call may have made room", hostile, other.Name, last.Time, got)
			}
		}
	}
}
