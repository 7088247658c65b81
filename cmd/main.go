// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the TokenKeeper operator, in a cluster or beside one. It
// reads flags and wires the parts together; it decides nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func main() {
	options := defaultOptions()
	options.addFlags(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))

	if err := run(ctrl.SetupSignalHandler(), options); err != nil {
		ctrl.Log.Error(err, "the manager stops")
		os.Exit(1)
	}
}

// run sets the manager up and runs it until ctx ends.
func run(ctx context.Context, options options) error {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS = -1 // The API server's priority and fairness is the judge of load.
	mgr, err := ctrl.NewManager(config, options.manager(scheme))
	if err != nil {
		return err
	}
	if err := setUp(ctx, mgr, options); err != nil {
		return err
	}
	return mgr.Start(ctx)
}
