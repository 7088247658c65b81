// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane prints the folder that holds etcd, kube-apiserver and
// kubectl, and sees to it that they are there:
//
//  1. KUBEBUILDER_ASSETS, if it is set;
//  2. else what setup-envtest's store already holds for this Kubernetes minor;
//  3. else setup-envtest's download, where the network allows it;
//  4. else binaries built from the Go modules that the folders beside this file
//     pin, put into the same store, so that it is done once for a machine and
//     not once for a checkout.
//
// With --node it also builds what a node runs beside them, for hack/node. An argument asks
// for another Kubernetes, such as 1.30 or 1.30.14: KUBEBUILDER_ASSETS is then ignored, and
// what is built comes from the module of that version.
//
// The folder is the only thing on standard output; progress goes to standard
// error. It needs Go (and git, for modules that a proxy does not serve) alone.
// It runs no control plane: envtest and the demo do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// usual is the Kubernetes whose binaries serve where none is asked for; which patch of it
// is built is pinned in kubernetes/go.mod.
var usual = version{minor: 36, patch: anyPatch}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	isNode := flag.Bool("node", false, "build the programs of a node too")
	flag.Parse()
	folder, err := prepare(ctx, flag.Arg(0), *isNode)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
	fmt.Println(folder)
}

// prepare has everything in place that is asked for: the usual version, or another.
func prepare(ctx context.Context, asked string, isNode bool) (folder string, err error) {
	wanted, given := usual, os.Getenv("KUBEBUILDER_ASSETS")
	if asked != "" {
		given = ""
		if wanted, err = parseVersion(asked); err != nil {
			return "", err
		}
	}
	if folder, err = assets(ctx, wanted, given); err == nil && isNode {
		err = addNode(ctx, folder, wanted)
	}
	return folder, err
}

// assets finds the folder, unless it is given, and fills it if that is needed.
func assets(ctx context.Context, wanted version, given string) (string, error) {
	if given != "" {
		if missing := missingBinaries(given); len(missing) > 0 {
			return "", fmt.Errorf("KUBEBUILDER_ASSETS is %s, which lacks %v: add them, or unset it to have them fetched", given, missing)
		}
		return given, nil
	}
	store, err := openStore()
	if err != nil {
		return "", err
	}
	if folder, ok := store.find(wanted); ok {
		return folder, nil
	}

	unlock, err := store.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if folder, ok := store.find(wanted); ok { // somebody else has just filled it
		return folder, nil
	}
	return fill(ctx, store, wanted)
}

// fill downloads or builds the binaries into a temporary folder of the store and
// moves it into place whole, so that a killed run leaves nothing that looks
// complete. The caller holds the store's lock.
func fill(ctx context.Context, store *store, wanted version) (string, error) {
	work, err := store.workFolder()
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}

	started := time.Now()
	folder, downloadErr := download(ctx, root, work, wanted)
	if downloadErr != nil {
		if ctx.Err() != nil {
			return "", errors.New("interrupted")
		}
		say("Ready-made binaries cannot be downloaded here (%v): building them from Go modules instead.", downloadErr)
		if folder, err = build(ctx, root, work, wanted); err != nil {
			return "", err
		}
	}
	placed, err := store.place(folder)
	if err != nil {
		return "", err
	}
	say("Control plane binaries are in %s (%s). They stay there: the next run starts at once.",
		placed, time.Since(started).Round(time.Second))
	return placed, nil
}

// moduleRoot is the checkout's top folder.
func moduleRoot(ctx context.Context) (string, error) {
	file, err := output(ctx, "", "go", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	root := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(root, "hack", "controlplane")); err != nil {
		return "", errors.New("run it inside a checkout of TokenKeeper: go run ./hack/controlplane")
	}
	return root, nil
}

// say tells a person what is going on.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}
