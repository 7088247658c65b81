// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the TokenKeeper operator, in a cluster or beside one. It
// reads flags and wires the parts together; it decides nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == courierCommand {
		os.Exit(runCourier(os.Args[2:]))
	}
	options := defaultOptions()
	options.addFlags(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	isVersion := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *isVersion {
		fmt.Println(version.String())
		return
	}
	if flag.NArg() > 0 { // a mistyped command must not start an operator
		fmt.Fprintf(os.Stderr, "%q is no flag, and the one command is %q, as the first word: manager --help lists the flags\n", flag.Arg(0), courierCommand)
		os.Exit(2)
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))

	ctrl.Log.Info("TokenKeeper starts", "version", version.String())
	ctx := ctrl.SetupSignalHandler()
	paceCollector(ctx)
	err := run(ctx, options)
	if errors.Is(err, controller.ErrPutBack) {
		ctrl.Log.Info("the manager begins again, with empty caches", "why", err.Error())
		err = beginAgain()
	}
	if err != nil {
		ctrl.Log.Error(err, "the manager stops")
		os.Exit(1)
	}
}

// beginAgain puts the same program, as it was started, in the place of this process. It
// returns only where that fails.
func beginAgain() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, os.Environ()) //nolint:gosec // it is this very program
}

// run sets the manager up and runs it until ctx ends.
func run(ctx context.Context, options options) error {
	mgr, err := newManager(options)
	if err != nil {
		return err
	}
	carrier, stayInTouch, err := courierOf(options)
	if err != nil {
		return err
	}
	notifier, err := options.notifier(clock.RealClock{})
	if err != nil {
		return err
	}
	spool, err := spool.Open(options.spoolDir)
	if err != nil {
		return err
	}
	var inFlight sync.WaitGroup
	err = controller.SetupWithManager(ctx, mgr, controller.Options{
		BuiltInProviders:  options.builtInProviders,
		Egress:            carrier,
		Courier:           carrier,
		Notifier:          notifier,
		Clock:             clock.RealClock{},
		Holder:            spool.Holder(holder(uuid.NewString())),
		Spool:             spool,
		InFlight:          &inFlight,
		Namespaces:        options.namespaces,
		OwnNamespace:      ownNamespace(),
		Concurrency:       options.concurrency,
		Registry:          metrics.Registry,
		CredentialMetrics: options.credentialMetrics,
		NudgePods:         options.nudgePods,
	})
	if err != nil {
		return err
	}
	if err := serveProbes(ctx, mgr, options.probeAddress); err != nil {
		return err
	}
	if stayInTouch != nil { // until the process ends: what is in flight goes on without the lease
		go func() { _ = stayInTouch(context.WithoutCancel(ctx)) }()
	}
	return lead(ctx, mgr, &inFlight)
}

// newManager finds the cluster, and what is to be known of its objects.
func newManager(options options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	for _, namespace := range options.namespaces {
		if faults := validation.IsDNS1123Label(namespace); len(faults) > 0 {
			return nil, fmt.Errorf("--namespaces: %q is no name of a namespace: %s", namespace, strings.Join(faults, "; "))
		}
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS = -1 // The API server's priority and fairness is the judge of load.
	return ctrl.NewManager(config, options.manager(scheme))
}

// lead runs the manager until ctx ends or the lease is lost, and then waits for what is
// in flight: a manager that has lost its lease, or given it up, does not wait for its
// workers. What they hold must be saved all the same: the pod's grace period is the only
// bound.
func lead(ctx context.Context, mgr ctrl.Manager, inFlight *sync.WaitGroup) error {
	err := mgr.Start(ctx)
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		ctrl.Log.Info("the lease is given up, and the process ends when what is in flight has been saved")
		err = nil
	}
	inFlight.Wait()
	return err
}
