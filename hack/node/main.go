// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command node runs a Kubernetes of one node on this machine: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, containerd and kubelet, all as they are
// shipped, so that pods run, mount Secrets and are collected as garbage.
//
//	node up              # in the foreground, until Ctrl-C or `node down`
//	node run -- COMMAND  # up, COMMAND with KUBECONFIG set, down
//	node load FILE.tar   # bring an image to the node that is up
//	node down            # end the node that is up, and remove what a killed one left
//	node check           # see to it that a node can run here, by apt if need be; status 3 where it cannot
//
// Everything runs in PID, mount and network namespaces of its own. So the end of the one
// process that the kernel has in it as its first is the end of every process, mount,
// bridge and address; nothing of the machine's own network or containers is touched. What
// is left, a folder and control groups, is removed by `up` when it ends, or by `down`.
//
// It is for tests: etcd does not wait for the disk, and the keys lie in the folder.
// It needs root on Linux, and the packages that it names where they are missing.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

const (
	usage = "usage: node up | run -- COMMAND [ARGUMENT...] | load FILE.tar... | down | check"
	// cannotRun is the exit status where no node comes up, for what a machine lacks. Whoever
	// runs this where that is no failure can tell it from one.
	cannotRun = 3
)

func main() {
	// The first process of the namespaces dies with the thread that started it
	// (PR_SET_PDEATHSIG), so this thread must be the process's own.
	runtime.LockOSThread()
	err := run(os.Args[1:])
	var exit *exec.ExitError
	var lacking *lackingError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case errors.As(err, &lacking):
		fmt.Fprintln(os.Stderr, "node: no node can run here:", err)
		os.Exit(cannotRun)
	default:
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	verb, rest := arguments[0], arguments[1:]
	switch {
	case verb == "up" && len(rest) == 0:
		return up(ctx, nil)
	case verb == "run" && len(rest) > 1 && rest[0] == "--":
		return up(ctx, rest[1:])
	case verb == "load" && len(rest) > 0:
		return load(ctx, rest)
	case verb == "down" && len(rest) == 0:
		return down(ctx)
	case verb == "check" && len(rest) == 0:
		return check(ctx)
	case verb == insideVerb && len(rest) == 1:
		return inside(ctx, rest[0])
	}
	return errors.New(usage)
}

// say tells a person what is going on. Standard output is for what scripts read.
func say(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) }
