// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// indexTimeout is how long a machine without the network may keep us.
	indexTimeout = 20 * time.Second
	// downloadTimeout is for about 70 MB.
	downloadTimeout = 10 * time.Minute
	// heartbeat is how often a long step says that it lives.
	heartbeat = 30 * time.Second
)

// download asks setup-envtest for the release line's newest binaries, and gives
// the folder with them. Its error is short, for people.
func download(ctx context.Context, root, work string, wanted version) (string, error) {
	line := wanted.pattern()
	say("Looking for ready-made control plane binaries, Kubernetes %s ...", line)
	tools := filepath.Join(root, "tools")
	if err := run(ctx, tools, "Preparing setup-envtest", "go", "build", "-o", filepath.Join(work, "setup-envtest"),
		"sigs.k8s.io/controller-runtime/tools/setup-envtest"); err != nil {
		return "", errors.New("setup-envtest does not build")
	}
	tool := filepath.Join(work, "setup-envtest")
	asking, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	list, err := output(asking, work, tool, "--bin-dir", work, "list", line)
	switch {
	case err != nil:
		return "", errors.New("the list of releases cannot be reached")
	case !strings.Contains(list, wanted.line()+"."):
		return "", fmt.Errorf("no release of %s is offered for this machine", line)
	}
	fetching, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	say("Downloading Kubernetes %s (about 70 MB) ...", line)
	folder, err := output(fetching, work, tool, "--bin-dir", work, "--print", "path", "use", line)
	if err != nil {
		return "", errors.New("the download failed")
	}
	return folder, nil
}

// build compiles the binaries from Go modules, and gives the folder with
// them. A machine of 2 cores takes about 5 minutes the first time, a minute once
// Go's build cache is warm.
func build(ctx context.Context, root, work string, wanted version) (string, error) {
	sources := filepath.Join(root, "hack", "controlplane")
	etcd := source{folder: filepath.Join(sources, "etcd"), mod: "readonly"}
	kubernetes, built, err := kubernetesSource(ctx, filepath.Join(sources, "kubernetes"), work, wanted)
	if err != nil {
		return "", err
	}
	version := built.module()
	folder := filepath.Join(work, built.pattern()+platformSuffix())
	if err := os.Mkdir(folder, 0o750); err != nil {
		return "", err
	}
	steps := []struct {
		what          string
		in            source
		target, flags string
	}{
		{"etcd (about a minute the first time)", etcd, "go.etcd.io/etcd/server/v3", "-s -w"},
		{"kube-apiserver " + version + " (about 5 minutes the first time)", kubernetes, "k8s.io/kubernetes/cmd/kube-apiserver", versionFlags(built)},
		{"kubectl " + version + " (about half a minute)", kubernetes, "k8s.io/kubernetes/cmd/kubectl", versionFlags(built)},
	}
	for i, step := range steps {
		// A program of a module's root would be called v3, after its path.
		program := filepath.Join(folder, binaries[i])
		if err := run(ctx, step.in.folder, fmt.Sprintf("[%d/%d] Building %s", i+1, len(steps), step.what),
			"go", "build", "-mod="+step.in.mod, "-trimpath", "-buildvcs=false", "-ldflags", step.flags, "-o", program, step.target); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// versionFlags makes the programs say their own version; without them they call
// themselves v0.0.0.
func versionFlags(built version) string {
	const at = " -X k8s.io/component-base/version."
	return "-s -w" + at + "gitVersion=" + built.module() + at + "gitMajor=1" + at + fmt.Sprintf("gitMinor=%d", built.minor)
}

// run runs a command in a folder and says what it does while it lasts; what the
// command prints is shown only if it fails.
func run(ctx context.Context, folder, what, name string, arguments ...string) error {
	say("%s ...", what)
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	started := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := output(ctx, folder, name, arguments...)
		done <- err
	}()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			say("  ... still at it after %s", time.Since(started).Round(time.Second))
		}
	}
}

// output runs a command in a folder and gives what it prints on standard output.
// The error holds what it printed on standard error.
func output(ctx context.Context, folder, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...) //nolint:gosec // the commands are those of this folder
	command.Dir = folder
	// The modules beside this file say all; a caller's workspace or flags, meant
	// for another build, must not change it.
	command.Env = append(slices.Clone(os.Environ()), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	var problem bytes.Buffer
	command.Stderr = &problem
	printed, err := command.Output()
	switch {
	case ctx.Err() != nil:
		return "", errors.New("interrupted")
	case err != nil:
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(arguments, " "), err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(string(printed)), nil
}
