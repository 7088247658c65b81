// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// shownLines of the log of a manager that died.
const shownLines = 20

// manager is one life of the operator, as it is built.
type manager struct {
	command *exec.Cmd
	logFile string
	metrics string // address
	probes  string
	pprof   string // empty: it serves no profiles
	ended   chan struct{}
	err     error // of the process; read once ended is closed
}

// startManager starts the operator with its defaults, and with every call to a
// provider sent to the simulator.
func startManager(ctx context.Context, l *lab) (*manager, error) {
	m := &manager{logFile: filepath.Join(l.folder, "manager.log"), ended: make(chan struct{})}
	addresses := []*string{&m.metrics, &m.probes}
	if l.profile != "" {
		addresses = append(addresses, &m.pprof)
	}
	for _, address := range addresses {
		var err error
		if *address, err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	flags := []string{
		"--kubeconfig=" + l.cluster.kubeconfig,
		"--egress-resolve=" + l.simulator.resolve(),
		"--egress-ca-file=" + l.simulator.caFile,
		"--egress-allow-cidrs=127.0.0.0/8",
		"--metrics-bind-address=" + m.metrics,
		"--metrics-secure=false",
		"--health-probe-bind-address=" + m.probes,
	}
	if m.pprof != "" {
		flags = append(flags, "--pprof-bind-address="+m.pprof)
	}
	log, err := os.OpenFile(m.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()                                                                   // the process has its own
	m.command = exec.Command(l.managerBinary, append(flags, l.managerFlagList()...)...) //nolint:noctx // kill ends it
	m.command.Stdout, m.command.Stderr = log, log
	m.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is not for it
	if err := m.command.Start(); err != nil {
		return nil, fmt.Errorf("start the operator (`make build` builds it): %w", err)
	}
	go func() {
		m.err = m.command.Wait()
		close(m.ended)
	}()
	return m, nil
}

func (s *settings) managerFlagList() []string { return strings.Fields(s.managerFlags) }

// freeAddress is one on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// dialTo connects to one address, whatever the name.
func dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

func (m *manager) pid() int { return m.command.Process.Pid }

func (m *manager) hasEnded() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// died is the error of a manager that ended by itself.
func (m *manager) died() error {
	return fmt.Errorf("the operator has ended unexpectedly (%w); its log ends:\n%s", cmp.Or(m.err, errors.New("exit status 0")), m.lastLines())
}

func (m *manager) lastLines() string {
	text, err := os.ReadFile(m.logFile)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(len(lines)-shownLines, 0):], []byte("\n")))
}

// kill ends the process where it stands (SIGKILL), and waits until it is gone.
func (m *manager) kill() {
	_ = m.command.Process.Kill()
	<-m.ended
}

func (m *manager) ready(ctx context.Context) bool {
	return get(ctx, "http://"+m.probes+"/readyz", io.Discard) == nil
}

// saveProfile writes a profile that the operator serves to a file.
func (m *manager) saveProfile(ctx context.Context, path, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // profiles hold no secret
		return err
	}
	output, err := os.Create(file)
	if err != nil {
		return err
	}
	defer output.Close()
	return get(ctx, "http://"+m.pprof+"/debug/pprof/"+path, output)
}

// get writes the body of a reply with the status 200.
func get(ctx context.Context, url string, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s", url, reply.Status)
	}
	_, err = io.Copy(to, reply.Body)
	return err
}
