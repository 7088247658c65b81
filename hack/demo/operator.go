// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// operatorPatience is how long the operator may take to get ready.
	operatorPatience = time.Minute
	// operatorGrace is how long it may take to end: an exchange has 30 s.
	operatorGrace = 35 * time.Second
	// shownLines of the log of an operator that died.
	shownLines = 30
)

// operator is the manager, as a process of its own.
type operator struct {
	logFile   string
	probes    string
	terminate context.CancelFunc
	ended     chan struct{} // closed once the process has gone
	err       error         // of the process; read once ended is closed
}

// startOperator starts the manager, with every call to a provider sent to the
// simulator. Nothing else about it is special. It runs until stop, whatever
// becomes of the context.
func startOperator(ctx context.Context, binary, folder string, cluster *cluster, providers *providers) (*operator, error) {
	probes, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	logFile := filepath.Join(folder, "operator.log")
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	ctx, terminate := context.WithCancel(context.WithoutCancel(ctx))
	o := &operator{logFile: logFile, probes: probes, terminate: terminate, ended: make(chan struct{})}
	command := exec.CommandContext(ctx, binary,
		"--kubeconfig="+cluster.kubeconfig,
		"--egress-resolve="+strings.Join(providers.resolve(), ","),
		"--egress-ca-file="+providers.caFile,
		"--egress-allow-cidrs=127.0.0.0/8",
		"--metrics-bind-address=0",
		"--health-probe-bind-address="+probes,
	)
	command.Stdout, command.Stderr = log, log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = operatorGrace
	// In a process group of its own a terminal's Ctrl-C does not reach it: it
	// would take the demo's SIGTERM for the second signal, and not end in order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		terminate()
		return nil, fmt.Errorf("start the operator (`make build` builds it): %w", err)
	}
	go func() {
		o.err = command.Wait()
		close(o.ended)
	}()
	return o, nil
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// awaitReady waits until the operator says that it is ready.
func (o *operator) awaitReady(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, operatorPatience, true, func(ctx context.Context) (bool, error) {
		select {
		case <-o.ended:
			return false, o.died()
		default:
			return o.ready(ctx), nil
		}
	})
	if ctx.Err() == nil && wait.Interrupted(err) {
		return fmt.Errorf("the operator is not ready after %s; its log ends:\n%s", operatorPatience, o.lastLines())
	}
	return err
}

func (o *operator) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.probes+"/readyz", nil)
	if err != nil {
		return false
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer reply.Body.Close()
	return reply.StatusCode == http.StatusOK
}

// died is the error of an operator that ended by itself.
func (o *operator) died() error {
	return fmt.Errorf("the operator has ended unexpectedly (%w); its log ends:\n%s", cause(o.err), o.lastLines())
}

func cause(err error) error {
	if err == nil {
		return errors.New("with exit status 0")
	}
	return err
}

func (o *operator) lastLines() string {
	text, err := os.ReadFile(o.logFile)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(len(lines)-shownLines, 0):], []byte("\n")))
}

// stop asks the operator to end, and waits until it has.
func (o *operator) stop() {
	o.terminate()
	<-o.ended
}
