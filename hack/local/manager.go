// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// grace is how long the operator may take to end: an exchange has 30 s.
	grace = 35 * time.Second
	// shownLines of the log of an operator that died.
	shownLines = 30
)

// Manager is one life of the operator, as it is built.
type Manager struct {
	command *exec.Cmd
	logFile string
	probes  string
	ended   chan struct{}
	err     error // of the process; read once ended is closed
}

// StartManager starts the operator on a cluster, with its defaults but for the flags
// given. What it says is added to logFile. It runs until Stop or Kill, whatever
// becomes of the context.
func StartManager(ctx context.Context, binary, logFile string, cluster *Cluster, flags ...string) (*Manager, error) {
	probes, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	m := &Manager{logFile: logFile, probes: probes, ended: make(chan struct{})}
	m.command = exec.Command(binary, append(flags, "--kubeconfig="+cluster.Kubeconfig, "--health-probe-bind-address="+probes)...) //nolint:noctx // see above
	m.command.Stdout, m.command.Stderr = log, log
	// In a process group of its own a terminal's Ctrl-C does not reach it: it would
	// take the SIGTERM that follows for the second signal, and not end in order.
	m.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.command.Start(); err != nil {
		return nil, fmt.Errorf("start the operator (`make build` builds it): %w", err)
	}
	go func() {
		m.err = m.command.Wait()
		close(m.ended)
	}()
	return m, nil
}

// ToSimulator are the flags that send every call to a provider to a simulator on
// loopback: resolve has HOST:PORT=ADDR:PORT for each host.
func ToSimulator(resolve []string, caFile string) []string {
	return []string{"--egress-resolve=" + strings.Join(resolve, ","), "--egress-ca-file=" + caFile, "--egress-allow-cidrs=127.0.0.0/8"}
}

// FreeAddress is one on loopback that nobody listens on.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// PID of the process.
func (m *Manager) PID() int { return m.command.Process.Pid }

// Ended is closed once the process has gone.
func (m *Manager) Ended() <-chan struct{} { return m.ended }

// HasEnded tells whether the process has gone.
func (m *Manager) HasEnded() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// WasKilled reports whether a signal has ended the process.
func (m *Manager) WasKilled() bool {
	var exit *exec.ExitError
	if !m.HasEnded() || !errors.As(m.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// Ready asks the process whether it is.
func (m *Manager) Ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.probes+"/readyz", nil)
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

// Died is the error of a process that ended by itself.
func (m *Manager) Died() error {
	return fmt.Errorf("the operator has ended unexpectedly (%w); its log ends:\n%s", cmp.Or(m.err, errors.New("exit status 0")), m.LastLines())
}

// LastLines of its log.
func (m *Manager) LastLines() string {
	text, err := os.ReadFile(m.logFile)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(len(lines)-shownLines, 0):], []byte("\n")))
}

// Stop asks the process to end (SIGTERM), and waits until it has.
func (m *Manager) Stop() {
	_ = m.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
	case <-time.After(grace):
		m.Kill()
	}
}

// Kill ends the process where it stands (SIGKILL), and waits until it is gone.
func (m *Manager) Kill() {
	_ = m.command.Process.Kill()
	<-m.ended
}
