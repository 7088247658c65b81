// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	runtimecontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// setUp adds the reconcilers, the probes and the metrics to the manager.
func setUp(ctx context.Context, mgr ctrl.Manager, options options) error {
	specs, err := builtin.Specs()
	if err != nil {
		return err
	}
	catalog, err := controller.NewCatalog(mgr.GetClient(), specs, options.builtInProviders)
	if err != nil {
		return err
	}
	calls, err := egress.New(options.egress)
	if err != nil {
		return err
	}
	cluster, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return err
	}
	credentials := &controller.Reconciler{
		Client:  mgr.GetClient(),
		Catalog: catalog,
		Secrets: &controller.Secrets{Metadata: mgr.GetClient(), Live: mgr.GetAPIReader()},
		States:  &rotation.Store{Client: mgr.GetClient(), Cluster: cluster},
		Targets: &target.Publisher{Client: mgr.GetClient()},
		Egress:  calls,
		Limits:  &controller.Limits{},
		Metrics: controller.NewMetrics(metrics.Registry),
		Events:  mgr.GetEventRecorder("tokenkeeper"),
		Clock:   clock.RealClock{},
		Holder:  holder(uuid.NewString()),
	}
	if err := credentials.SetupWithManager(ctx, mgr, runtimecontroller.Options{MaxConcurrentReconciles: options.concurrency}); err != nil {
		return err
	}
	if err := (&controller.ProviderReconciler{Client: mgr.GetClient(), Catalog: catalog}).SetupWithManager(mgr); err != nil {
		return err
	}
	if options.credentialMetrics {
		metrics.Registry.MustRegister(&controller.CredentialCollector{Reader: mgr.GetClient()})
	}
	return addProbes(mgr)
}

// addProbes serves /healthz, which does not depend on the API server, and
// /readyz, which waits for the caches. The providers are compiled by then.
func addProbes(mgr ctrl.Manager) error {
	synced := func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the caches are not synced yet")
		}
		return nil
	}
	return errors.Join(mgr.AddHealthzCheck("healthz", healthz.Ping), mgr.AddReadyzCheck("caches", synced))
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
