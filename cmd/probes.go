// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// serveProbes serves /healthz, which does not depend on the API server, and
// /readyz, which waits for the caches; a provider is compiled when it is first used,
// which takes milliseconds. It does so until the process ends: the manager's own server ends with the lease, and then
// a liveness probe would end a process that still holds a token to be saved.
func serveProbes(ctx context.Context, mgr ctrl.Manager, address string) error {
	if address == "" || address == "0" {
		return nil
	}
	synced := func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the caches are not synced yet")
		}
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("--health-probe-bind-address: %w", err)
	}
	routes := http.NewServeMux()
	routes.Handle("/healthz", http.StripPrefix("/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"healthz": healthz.Ping}}))
	routes.Handle("/readyz", http.StripPrefix("/readyz", &healthz.Handler{Checks: map[string]healthz.Checker{"caches": synced}}))
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		err := server.Serve(listener)
		ctrl.Log.Error(err, "probes are not answered any more")
	}()
	return nil
}
