// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/notify"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	fairqueue "github.com/tokenkeeper/tokenkeeper/internal/pace/queue"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/look"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// Options of the controllers.
type Options struct {
	// BuiltInProviders that credentials may use, by name; "*" for all.
	BuiltInProviders []string
	// Egress calls providers.
	Egress egress.Caller
	// Courier says what became of exchanges that went by Egress; nil: nobody knows.
	Courier courier.Courier
	// Notifier tells a webhook of credentials that need a person; nil: there is none.
	Notifier *notify.Notifier
	// Clock tells the time.
	Clock clock.PassiveClock
	// Holder names this process in the claims it makes; no other process has
	// the same.
	Holder string
	// Spool outlives the process; nil: there is none.
	Spool *spool.Spool
	// InFlight counts the exchanges and commits in flight; whoever ends the
	// process waits for it first.
	InFlight *sync.WaitGroup
	// OwnNamespace is the operator's, where the key for its digests is kept.
	OwnNamespace string
	// Namespaces that are watched; all where there are none.
	Namespaces []string
	// Concurrency is how many credentials are worked on at once, beside those that wait for
	// their provider.
	Concurrency int
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// NudgePods has the pods that mount a target see a new token within seconds, where its
	// credential asks for it.
	NudgePods bool
	// CredentialMetrics adds gauges for each credential.
	CredentialMetrics bool
}

// SetupWithManager reads the built-in providers and adds the controllers and
// their metrics to a manager that was made with the options of package access.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, options Options) error {
	specs, err := builtin.Specs()
	if err != nil {
		return err
	}
	catalog, err := inputs.NewCatalog(mgr.GetClient(), specs, options.BuiltInProviders)
	if err != nil {
		return err
	}
	if len(options.Namespaces) == 0 { // else no role lets the operator read them
		catalog.Namespaces = mgr.GetCache()
	}
	secrets, live := access.Bound(mgr.GetClient(), mgr.GetAPIReader())
	states, others, targets, err := writersOf(ctx, mgr, secrets, options)
	if err != nil {
		return err
	}
	shown, err := access.Shown(ctx, mgr.GetCache())
	if err != nil {
		return err
	}
	rekeyer := &rekeyer{twins: others, targets: targets, metadata: mgr.GetCache()}
	credentials, watches, err := newReconciler(mgr, options, &inputs.Gatherer{
		Catalog:         catalog,
		Secrets:         &inputs.Secrets{Metadata: mgr.GetCache(), Live: live, Shown: shown},
		ServiceAccounts: &inputs.ServiceAccounts{Client: mgr.GetClient(), Clock: options.Clock},
	}, states, others, targets)
	if err != nil {
		return err
	}
	if err := watchHorizon(ctx, mgr, credentials.Refresher, options); err != nil {
		return err
	}
	workers := newWorkers(options.Concurrency)
	credentials.Refresher.Calls.Egress = exchanging{options.Egress, workers}
	watches.readsLabels = catalog.Namespaces != nil
	for _, run := range []manager.RunnableFunc{credentials.remover.RemoveOrphans, watches.passSlotsOn, rekeyer.run, sweeping(options)} {
		if err := mgr.Add(run); err != nil {
			return err
		}
	}
	if err := watches.setUp(ctx, mgr, credentials, queueing(options, watches, workers)); err != nil {
		return err
	}
	if err := (&ProviderReconciler{Client: mgr.GetClient(), Catalog: catalog}).SetupWithManager(mgr); err != nil {
		return err
	}
	return registerCollectors(mgr, options)
}

// queueing are the options of the controller of credentials: how many are worked on at once,
// and in which order.
func queueing(options Options, watches *watcher, workers *workers) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: pace.Parallel(options.Concurrency),
		// What fails here is the API server: it is asked again soon after it is back.
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](200*time.Millisecond, 5*time.Second),
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) queue {
			return working{fairqueue.New(name, limiter, watches.waiter), workers}
		},
	}
}

// registerCollectors adds the metrics that are read from the cache.
func registerCollectors(mgr ctrl.Manager, options Options) error {
	if err := options.Registry.Register(&metrics.AttemptCollector{Secrets: mgr.GetCache(), Clock: options.Clock}); err != nil {
		return err
	}
	if options.CredentialMetrics {
		return options.Registry.Register(&metrics.CredentialCollector{Reader: mgr.GetClient()})
	}
	return nil
}

// writersOf gives what writes the Secrets of states and targets, with the key of the
// digests there.
func writersOf(ctx context.Context, mgr ctrl.Manager, secrets client.Client, options Options) (*store.Store, *twins.Finder, *target.Publisher, error) {
	cluster, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, nil, nil, err
	}
	key, err := digest.Stored(ctx, mgr.GetAPIReader(), mgr.GetClient(), options.OwnNamespace)
	if err != nil {
		return nil, nil, nil, err
	}
	states := &store.Store{Client: secrets, Cluster: cluster, Key: key}
	others := &twins.Finder{Client: secrets, Live: mgr.GetAPIReader(), Namespaces: options.Namespaces, Marks: states.Marks()}
	others.Looks.Pace = look.NewPace()
	return states, others, &target.Publisher{Client: secrets, Key: key}, nil
}

// newReconciler puts the parts together that a credential's reconcile is made of, and
// those that bring it about.
func newReconciler(mgr ctrl.Manager, options Options, gatherer *inputs.Gatherer, states *store.Store, others *twins.Finder, targets *target.Publisher) (*Reconciler, *watcher, error) {
	waker := &waker{}
	hosts := pace.NewHosts(options.Concurrency, waker.wake)
	tokensWait := func() bool { return hosts.Crowded(waker.queued()) }
	recorder := report.NewRecorder(mgr, options.Clock)
	lane := &report.Lane{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, TokensWait: tokensWait, Wake: waker.wake}
	counters := metrics.New(options.Registry)
	if notifier := options.Notifier; notifier != nil {
		notifier.Cluster, notifier.Count = states.Cluster, counters.Notified
		lane.Statuses = notifier
	}
	if err := errors.Join(mgr.Add(outliving(options.InFlight, reporting(lane, options.Notifier))), mgr.Add(outliving(options.InFlight, recorder))); err != nil {
		return nil, nil, err
	}
	nudges, err := newNudges(mgr, options, gatherer.Secrets, tokensWait, counters)
	if err != nil {
		return nil, nil, err
	}
	reconciler := NewReconciler(Parts{
		Client:  mgr.GetClient(),
		Live:    mgr.GetAPIReader(),
		Inputs:  gatherer,
		Targets: targets,
		Reports: lane,
		Hosts:   hosts,
		Nudges:  nudges,
		Metrics: counters,
		Clock:   options.Clock,
		Refresher: &refresh.Refresher{
			Inputs: gatherer,
			Twins:  others,
			Calls: &call.Caller{
				Egress:  options.Egress,
				Courier: options.Courier,
				Rates:   &budget.Rates{},
				Hosts:   hosts,
				Metrics: counters,
				Clock:   options.Clock,
				Key:     states.Key,
			},
			Saver:    newSaver(options, states, counters, waker, recorder),
			Clock:    options.Clock,
			Holder:   options.Holder,
			InFlight: options.InFlight,
		},
	})
	return reconciler, newWatcher(reconciler, waker), nil
}

// newSaver saves what exchanges bring. Of a token that is lost without a reconcile that could
// say so an event tells.
func newSaver(options Options, states *store.Store, counters *metrics.Metrics, waker *waker, recorder *report.Recorder) *saving.Saver {
	return &saving.Saver{
		States:   states,
		Spool:    options.Spool,
		Courier:  options.Courier,
		Metrics:  counters,
		InFlight: options.InFlight,
		Wake:     waker.wake,
		Lost: func(credential *v1alpha1.TokenCredential, p *problem.Problem) {
			recorder.Record(context.Background(), credential, status.Failed(p))
		},
	}
}

// sweeping removes from the spool, each hour, what nobody asks for.
func sweeping(options Options) manager.RunnableFunc {
	return func(ctx context.Context) error {
		wait.UntilWithContext(ctx, func(context.Context) { options.Spool.Sweep(options.Clock.Now()) }, time.Hour)
		return nil
	}
}

// reporting runs the lane, and what is told of its statuses a little longer.
func reporting(lane *report.Lane, notifier *notify.Notifier) manager.Runnable {
	if notifier == nil {
		return lane
	}
	return manager.RunnableFunc(func(ctx context.Context) error {
		notifyCtx, end := context.WithCancel(context.WithoutCancel(ctx))
		defer end()
		var notifying sync.WaitGroup
		notifying.Go(func() { notifier.Start(notifyCtx) })
		err := lane.Start(ctx)
		end()
		notifying.Wait()
		return err
	})
}

// outliving has the process wait for a runnable, also where its manager does not: one
// that has given up its lease.
func outliving(inFlight *sync.WaitGroup, runnable manager.Runnable) manager.Runnable {
	return manager.RunnableFunc(func(ctx context.Context) error {
		inFlight.Add(1)
		defer inFlight.Done()
		return runnable.Start(ctx)
	})
}

// clusterUID tells this cluster from others, so that a state Secret which was
// carried over from another one is not taken for its original.
func clusterUID(ctx context.Context, reader client.Reader) (string, error) {
	namespace := &corev1.Namespace{}
	if err := reader.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("tell this cluster from others by its namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}
