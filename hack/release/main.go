// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release makes all that a release of TokenKeeper consists of, and publishes
// nothing unless it is asked to:
//
//	make release-dry-run VERSION=v0.1.0    # into bin/release/v0.1.0
//	make release VERSION=v0.1.0            # the same from a clean, tagged checkout, and push image and chart
//
// These are, in bin/release/VERSION: the manager and the kubectl plugin in an archive for
// each platform, the image for amd64 and arm64, a bill of materials (SPDX) of each program
// and image, the installer and the chart with the image's digest, a manifest for krew, the
// notes, and the checksums of all that. It then does with them what a user would, and makes
// everything a second time from a copy of the source elsewhere: the bytes must be the same.
//
// It is a module of its own, so that its libraries are no part of the operator's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetLogger(logr.Discard()) // of the control plane that the installer is tried on
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// options are what a person asks for.
type options struct {
	version   string
	source    string
	platforms []string
	isFinal   bool
	isOnce    bool
	registry  string
}

func parse(arguments []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "", "the version, such as v0.1.0 or v0.1.0-rc.1")
	flags.StringVar(&o.source, "source", "../..", "the checkout to make it from")
	platforms := flags.String("platforms", "", "make the plugin for these alone, such as linux/amd64,darwin/arm64, to try something (default: all)")
	flags.BoolVar(&o.isFinal, "final", false, "insist on a clean checkout that is tagged with the version, and on notes that are no longer called Unreleased")
	flags.BoolVar(&o.isOnce, "once", false, "do not make everything a second time to compare")
	flags.StringVar(&o.registry, "push", "", "push image and chart below this name, such as ghcr.io/tokenkeeper")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if err := checkVersion(o.version); err != nil {
		return o, err
	}
	if *platforms != "" {
		o.platforms = strings.Split(*platforms, ",")
	}
	var err error
	o.source, err = filepath.Abs(o.source)
	return o, err
}

func run(ctx context.Context, o options) error {
	started := time.Now()
	p, err := newPlan(ctx, o)
	if err != nil {
		return err
	}
	if err := p.mayBegin(ctx, o.isFinal); err != nil {
		return err
	}
	made, err := build(ctx, p)
	if err != nil {
		return err
	}
	if err := check(ctx, p, made); err != nil {
		return fmt.Errorf("what was made is not as it should be: %w", err)
	}
	if !o.isOnce {
		if err := again(ctx, p); err != nil {
			return err
		}
	}
	if o.registry != "" {
		if err := push(ctx, p, o.registry); err != nil {
			return err
		}
	}
	return tell(p, made, time.Since(started))
}

// tell prints what there is now.
func tell(p plan, made release, took time.Duration) error {
	names, err := released(p.folder)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s is in %s (%s):\n", p.version, p.folder, took.Round(time.Second))
	for _, name := range append(names, checksumsName) {
		info, err := os.Stat(filepath.Join(p.folder, name))
		if err != nil {
			return err
		}
		fmt.Printf("  %9.1f KiB  %s\n", float64(info.Size())/1024, name)
	}
	fmt.Printf("image: %s\n", made.image.reference)
	return nil
}

// say tells a person what is going on.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}
