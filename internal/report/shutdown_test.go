// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// TestReportsOutliveTheControllers runs lane and recorder in a manager, beside what
// stands for the controllers: it reports once more while the manager stops, as a
// reconcile does whose call to a provider was under way.
func TestReportsOutliveTheControllers(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		// reconcile ends after the manager was told to stop.
		reconcile func(w *world, laneEnded, recorderEnded <-chan struct{})
	}{
		{"a reconcile ends at once", "the lane may still be draining",
			func(*world, <-chan struct{}, <-chan struct{}) {}},
		{"a reconcile ends when the lane has ended", "its exchange may take half a minute",
			func(_ *world, laneEnded, _ <-chan struct{}) { <-laneEnded }},
		{"a reconcile ends when the recorder has ended", "its event is posted all the same",
			func(_ *world, _, recorderEnded <-chan struct{}) { <-recorderEnded }},
		{"a reconcile ends last of all", "nobody comes after it",
			func(_ *world, laneEnded, recorderEnded <-chan struct{}) { <-laneEnded; <-recorderEnded }},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "early")
			store := &eventStore{scheme: w.server.Scheme(), created: map[string]*eventsv1.Event{}}
			mgr := managerWith(t, store)
			recorder := NewRecorder(mgr, clock.RealClock{})
			w.Events = recorder
			laneEnded, recorderEnded := make(chan struct{}), make(chan struct{})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			if err := errors.Join(
				mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { defer close(laneEnded); return w.Start(ctx) })),
				mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { defer close(recorderEnded); return recorder.Start(ctx) })),
				mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
					w.addOf("early", false)
					stop()
					<-ctx.Done()
					each.reconcile(w, laneEnded, recorderEnded)
					w.addOf(shop.Name, true)
					return nil
				}))); err != nil {
				t.Fatal(err)
			}
			if err := mgr.Start(ctx); err != nil {
				t.Fatal(err)
			}
			w.held()
			got := map[string]int64{}
			for _, event := range store.created {
				got[event.Regarding.Name]++
			}
			if diff := cmp.Diff(map[string]int64{"early": 1, "shop": 1}, got); diff != "" {
				t.Errorf("events of each credential (-want +got)\n%sreason: %s", diff, each.reason)
			}
		})
	}
}

// TestReportersRunAmongTheControllers keeps the lane and the recorder out of the group
// of runnables that the manager stops first, while it still reconciles.
func TestReportersRunAmongTheControllers(t *testing.T) {
	t.Parallel()
	for name, reporter := range map[string]manager.Runnable{"lane": &Lane{}, "recorder": &Recorder{}} {
		if elected, ok := reporter.(manager.LeaderElectionRunnable); ok && !elected.NeedLeaderElection() {
			t.Errorf("the manager stops the %s before it stops the controllers, and waits for it while they go on", name)
		}
	}
}

// managerWith is a manager without an API server.
func managerWith(t *testing.T, c client.Client) manager.Manager {
	t.Helper()
	timeout := time.Minute
	mgr, err := manager.New(&rest.Config{}, manager.Options{
		Scheme:                  c.Scheme(),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		GracefulShutdownTimeout: &timeout,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return meta.NewDefaultRESTMapper(nil), nil
		},
		NewCache:  func(*rest.Config, cache.Options) (cache.Cache, error) { return &informertest.FakeInformers{}, nil },
		NewClient: func(*rest.Config, client.Options) (client.Client, error) { return c, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return mgr
}
