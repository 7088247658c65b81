// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// Options of the controllers.
type Options struct {
	// BuiltInProviders that credentials may use, by name; "*" for all.
	BuiltInProviders []string
	// Egress calls providers.
	Egress egress.Caller
	// Clock tells the time.
	Clock clock.PassiveClock
	// Holder names this process in the claims it makes; no other process has
	// the same.
	Holder string
	// Spool outlives the process; nil: there is none.
	Spool *rotation.Spool
	// InFlight counts the exchanges and commits under way; whoever ends the
	// process waits for it first.
	InFlight *sync.WaitGroup
	// Namespaces that are watched; all where there are none.
	Namespaces []string
	// Concurrency is how many credentials are worked on at once.
	Concurrency int
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// CredentialMetrics adds gauges for each credential.
	CredentialMetrics bool
}

// SetupWithManager compiles the built-in providers and adds the controllers and
// their metrics to a manager that was made with CacheOptions and ClientOptions.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, options Options) error {
	specs, err := builtin.Specs()
	if err != nil {
		return err
	}
	catalog, err := NewCatalog(mgr.GetClient(), specs, options.BuiltInProviders)
	if err != nil {
		return err
	}
	cluster, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return err
	}
	recorder := newRecorder(mgr, options.Clock)
	if err := mgr.Add(recorder); err != nil {
		return err
	}
	credentials := &Reconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Catalog:  catalog,
		Secrets:  &Secrets{Metadata: mgr.GetCache(), Live: mgr.GetAPIReader()},
		States:   &rotation.Store{Client: mgr.GetClient(), Cluster: cluster, Namespaces: options.Namespaces},
		Targets:  &target.Publisher{Client: mgr.GetClient()},
		Egress:   options.Egress,
		Rates:    &pace.Rates{},
		Metrics:  NewMetrics(options.Registry),
		Events:   recorder,
		Clock:    options.Clock,
		Holder:   options.Holder,
		Spool:    options.Spool,
		InFlight: options.InFlight,
	}
	credentials.Hosts = pace.NewHosts(options.Concurrency, credentials.wakeUp)
	if err := credentials.SetupWithManager(ctx, mgr, controller.Options{
		MaxConcurrentReconciles: options.Concurrency,
		// What fails here is the API server: it is asked again soon after it is back.
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](200*time.Millisecond, 5*time.Second),
	}); err != nil {
		return err
	}
	if err := (&ProviderReconciler{Client: mgr.GetClient(), Catalog: catalog}).SetupWithManager(mgr); err != nil {
		return err
	}
	if err := watchAttempts(options.Registry, &credentials.attempts, options.Clock); err != nil {
		return err
	}
	if options.CredentialMetrics {
		return options.Registry.Register(&CredentialCollector{Reader: mgr.GetClient()})
	}
	return nil
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
