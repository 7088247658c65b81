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
	command *exec.Cmd
	logFile string
	probes  string
	ended   chan struct{} // closed once the process has gone
	err     error         // of the process; read once ended is closed
}

// startOperator starts the manager, with every call to a provider sent to the
// simulator. Nothing else about it is special.
func startOperator(binary, folder string, cluster *cluster, providers *providers) (*operator, error) {
	probes, err := freeAddress()
	if err != nil {
		return nil, err
	}
	o := &operator{logFile: filepath.Join(folder, "operator.log"), probes: probes, ended: make(chan struct{})}
	log, err := os.Create(o.logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	o.command = exec.Command(binary,
		"--kubeconfig="+cluster.kubeconfig,
		"--egress-resolve="+strings.Join(providers.resolve(), ","),
		"--egress-ca-file="+providers.caFile,
		"--egress-allow-cidrs=127.0.0.0/8",
		"--metrics-bind-address=0",
		"--health-probe-bind-address="+probes,
	)
	o.command.Stdout, o.command.Stderr = log, log
	// In a process group of its own a terminal's Ctrl-C does not reach it: it
	// would take the demo's SIGTERM for the second signal, and not end in order.
	o.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := o.command.Start(); err != nil {
		return nil, fmt.Errorf("start the operator (`make build` builds it): %w", err)
	}
	go func() {
		o.err = o.command.Wait()
		close(o.ended)
	}()
	return o, nil
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
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

// stop asks the operator to end and waits until it has.
func (o *operator) stop() {
	_ = o.command.Process.Signal(syscall.SIGTERM) // where it has ended already, all the better
	select {
	case <-o.ended:
	case <-time.After(operatorGrace):
		_ = o.command.Process.Kill()
		<-o.ended
	}
}
