// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

// change is something that a watch has seen: one of the fields is set.
type change struct {
	credential *v1alpha1.TokenCredential
	gone       *v1alpha1.TokenCredential
	event      *eventsv1.Event
}

// newClient reads and writes without a cache.
func newClient(cluster *local.Cluster) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return client.New(cluster.Config, client.Options{Scheme: scheme})
}

// watch reports the credentials and the events of the namespace, those that are
// there first, until the context ends.
func watch(ctx context.Context, cluster *local.Cluster, scheme *runtime.Scheme) (<-chan change, error) {
	informers, err := cache.New(cluster.Config, cache.Options{
		Scheme:            scheme,
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
	})
	if err != nil {
		return nil, fmt.Errorf("watch the credentials: %w", err)
	}
	changes := make(chan change)
	report := func(seen change) {
		select {
		case changes <- seen:
		case <-ctx.Done():
		}
	}
	err = errors.Join(
		listen(ctx, informers, &v1alpha1.TokenCredential{}, toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { report(change{credential: o.(*v1alpha1.TokenCredential)}) },
			UpdateFunc: func(_, o any) { report(change{credential: o.(*v1alpha1.TokenCredential)}) },
			DeleteFunc: func(o any) {
				if missed, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
					o = missed.Obj
				}
				report(change{gone: o.(*v1alpha1.TokenCredential)})
			},
		}),
		listen(ctx, informers, &eventsv1.Event{}, toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(o any) { report(change{event: o.(*eventsv1.Event)}) },
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("watch the credentials: %w", err)
	}
	go func() { _ = informers.Start(ctx) }()
	return changes, nil
}

func listen(ctx context.Context, informers cache.Cache, kind client.Object, handler toolscache.ResourceEventHandler) error {
	// BlockUntilSynced would wait for a cache that is not started yet.
	informer, err := informers.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(handler)
	return err
}
