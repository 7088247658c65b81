// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout is for a machine that is busy with other things; an idle one takes
	// some fifteen seconds.
	startTimeout = 8 * time.Minute
	// endTimeout is how long the kernel may take to end what was in the namespaces.
	endTimeout = time.Minute
)

// up brings the node up and keeps it until the context ends, or until the command has
// ended where there is one. If a node is up already, the command gets that one.
func up(ctx context.Context, command []string) error {
	unlock, running, err := lock()
	switch {
	case err != nil:
		return err
	case running && command != nil:
		say("A node is up already: it is used.")
		return runCommand(ctx, command)
	case running:
		return fmt.Errorf("a node is up already: its KUBECONFIG is %s; `node down` ends it", kubeconfigOf(admin))
	}
	defer unlock()
	if err := check(ctx); err != nil {
		return err
	}
	if err := removeLeft(ctx); err != nil { // of a node that was killed
		return err
	}
	started := time.Now()
	n, err := start(ctx)
	if err == nil {
		err = n.awaitReady(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return errors.Join(errors.New("interrupted before the node was ready"), n.end(ctx))
	case err != nil:
		return errors.Join(lacking("%v", err), n.end(ctx))
	}
	say("The node is ready after %s. Logs and all else of it are in %s.", time.Since(started).Round(time.Second), folder)
	if command != nil {
		return errors.Join(runCommand(ctx, command), n.end(ctx))
	}
	say("Ctrl-C here, or `make node-down` elsewhere, ends it.")
	fmt.Println("KUBECONFIG=" + kubeconfigOf(admin))
	select {
	case <-ctx.Done():
		say("Taking the node down ...")
		return n.end(ctx)
	case <-n.ended:
		return errors.Join(errors.New("the node has ended by itself"), n.end(ctx))
	}
}

// node is one that runs.
type node struct {
	programs string
	first    *exec.Cmd // of its PID namespace
	ended    chan struct{}
}

// start prepares all files and starts the node's first process, which starts the others.
func start(ctx context.Context) (*node, error) {
	programs, err := programsFolder(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, programs); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(logOf("node"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	// Not of the context: the node outlives it until end has ended it.
	n := &node{programs: programs, first: exec.Command(self, insideVerb, programs), ended: make(chan struct{})} //nolint:noctx // see above
	n.first.Stdout, n.first.Stderr = log, log
	gate, err := n.first.StdinPipe() // it waits for its network
	if err != nil {
		return nil, err
	}
	n.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // a terminal's Ctrl-C is for the process outside, which ends this one
	}
	if err := n.first.Start(); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) {
			return nil, lacking("the kernel makes no namespaces for this user (%v)", err)
		}
		return nil, fmt.Errorf("start the node's first process: %w", err)
	}
	go func() {
		_ = n.first.Wait() // how it ended is in its log
		close(n.ended)
	}()
	if err := connect(ctx, n.first.Process.Pid); err != nil {
		return n, err
	}
	return n, errors.Join(os.WriteFile(pidFile(firstPID), []byte(strconv.Itoa(n.first.Process.Pid)), 0o600), gate.Close())
}

// end ends everything in the node's namespaces, and removes what is left.
func (n *node) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // it is often the end of the context that ends the node
	if n != nil {
		_ = n.first.Process.Kill()
		select {
		case <-n.ended:
		case <-time.After(endTimeout):
			return fmt.Errorf("the node's first process, %d, does not end", n.first.Process.Pid)
		}
	}
	return removeLeft(ctx)
}

// runCommand runs a command with the node's KUBECONFIG, and its kubectl as the first on the PATH.
func runCommand(ctx context.Context, words []string) error {
	programs, err := programsFolder(ctx)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // what a developer has it run
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfigOf(admin), "TOKENKEEPER_NODE="+folder,
		"PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = time.Minute
	return command.Run()
}

// programsFolder is where etcd, kube-apiserver, kubelet and the others are.
func programsFolder(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "go", "run", "./hack/controlplane", "--node")
	command.Stderr = os.Stderr
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("find or build the programs (run this in a checkout): %w", err)
	}
	return strings.TrimSpace(string(printed)), nil
}

// buildImage builds an image of one of the checkout's programs for this machine.
func buildImage(ctx context.Context, program, tag, file string) error {
	source, err := os.Getwd()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "run", "-C", "hack/image", ".", "--source="+source, "--program="+program, "--name="+path.Base(program),
		"--tag="+tag, "--output="+file, "--platform=linux/"+architecture())
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("build the image of %s: %w", program, err)
	}
	return nil
}

// load brings images to the node that is up.
func load(ctx context.Context, files []string) error {
	for _, file := range files {
		if err := output(ctx, "ctr", "--address", containerdSocket, "--namespace", "k8s.io", "images", "import", file); err != nil {
			return fmt.Errorf("load %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}
