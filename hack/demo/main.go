// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows TokenKeeper at work on this machine: etcd and
// kube-apiserver, a simulator of the providers over TLS and the real operator,
// all on loopback, with the credentials of config/samples and tokens that live
// for seconds. `make demo` builds what it needs and runs it.
//
//	demo --manager bin/manager          until Ctrl-C
//	demo --manager bin/manager --once   until every sample has been refreshed twice
//	demo -- --zap-log-level=debug       with flags for the operator
//
// It needs KUBEBUILDER_ASSETS, a folder with etcd, kube-apiserver and kubectl,
// and runs at the top of a checkout. Whichever way it ends, but for SIGKILL, it
// leaves no process and no file behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

// settings are the flags.
type settings struct {
	manager  string
	once     bool
	lifetime time.Duration
	// operatorFlags are what follows "--": flags for the operator.
	operatorFlags []string
}

func main() {
	given := settings{}
	flag.StringVar(&given.manager, "manager", "bin/manager", "the operator's `binary`; `make build` builds it")
	flag.BoolVar(&given.once, "once", false, "end with 0 once every sample has been refreshed twice, and with 1 where that takes too long")
	flag.DurationVar(&given.lifetime, "token-lifetime", 20*time.Second, "how long the simulator's access tokens live; at least 10s")
	flag.Parse()
	given.operatorFlags = flag.Args()
	if given.lifetime < 10*time.Second || flag.NArg() > 0 && !strings.HasPrefix(flag.Arg(0), "-") {
		flag.Usage()
		os.Exit(2)
	}
	// What these would print tears the table apart; what matters is returned.
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())

	ctx, output, stop := local.UntilStopped(os.Stdout)
	defer stop()
	ctx = untilOrphaned(ctx)
	err := run(ctx, given, output)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && !given.once: // Ctrl-C is how it ends
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run brings everything up, shows it, and takes it down again in the opposite
// order. The error is the context's where a signal ended it.
func run(ctx context.Context, given settings, output local.Output) (err error) {
	say := func(format string, arguments ...any) { fmt.Fprintf(output, format+"\n", arguments...) }
	folder, err := temporaryFolder()
	if err != nil {
		return err
	}
	defer func() { err = afterwards(err, os.RemoveAll(folder)) }()
	samples, err := readSamples(samplesFolder)
	if err != nil {
		return err
	}

	// What is being started cannot be cut short; a person should see that the
	// signal has come.
	starting := context.AfterFunc(ctx, func() { say("Stopping as soon as what is starting has started ...") })
	defer starting()

	say("Starting etcd and kube-apiserver on loopback (about 10 seconds) ...")
	cluster, err := local.StartCluster(".", folder)
	if err != nil {
		return err
	}
	defer func() { err = afterwards(err, cluster.Stop()) }()
	if ctx.Err() != nil {
		return ctx.Err()
	}

	say("Starting the simulator of the providers, and the operator (a few seconds) ...")
	providers, err := startProviders(folder, given.lifetime)
	if err != nil {
		return err
	}
	defer func() { _ = providers.server.Close() }()
	spool := filepath.Join(folder, "spool")
	if err := os.Mkdir(spool, 0o700); err != nil {
		return err
	}
	operator := &operator{start: func(ctx context.Context) (*local.Manager, error) {
		flags := append(local.ToSimulator(providers.resolve(), providers.caFile), "--metrics-bind-address=0", "--spool-dir="+spool)
		return local.StartManager(ctx, given.manager, filepath.Join(folder, "operator.log"), cluster, append(flags, given.operatorFlags...)...)
	}}
	if err := operator.begin(ctx); err != nil {
		return err
	}
	defer func() { operator.Stop() }()
	defer say("Stopping ...")
	if err := awaitReady(ctx, operator.Manager); err != nil {
		return err
	}
	starting()
	return show(ctx, given, stage{cluster, providers, operator, samples}, output)
}

// operatorPatience is how long the operator may take to get ready.
const operatorPatience = time.Minute

// awaitReady waits until the operator says that it is ready.
func awaitReady(ctx context.Context, operator *local.Manager) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, operatorPatience, true, func(ctx context.Context) (bool, error) {
		if operator.HasEnded() {
			return false, operator.Died()
		}
		return operator.Ready(ctx), nil
	})
	if ctx.Err() == nil && wait.Interrupted(err) {
		return fmt.Errorf("the operator is not ready after %s; its log ends:\n%s", operatorPatience, operator.LastLines())
	}
	return err
}

// afterwards adds a failure to tidy up to how it ended. What was left behind
// matters more than that a signal has come.
func afterwards(err, failure error) error {
	if failure != nil && errors.Is(err, context.Canceled) {
		return failure
	}
	return errors.Join(err, failure)
}

// temporaryFolder makes the one folder in which everything is that the demo and
// the control plane write.
func temporaryFolder() (string, error) {
	folder, err := os.MkdirTemp("", "tokenkeeper-demo-")
	if err != nil {
		return "", err
	}
	return folder, os.Setenv("TMPDIR", folder)
}

// untilOrphaned ends the context when the process that started this one has gone
// without passing a signal on, as `go run` does on SIGTERM.
func untilOrphaned(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	started := os.Getppid()
	go func() {
		for range time.Tick(time.Second) {
			if os.Getppid() != started {
				cancel()
				return
			}
		}
	}()
	return ctx
}
