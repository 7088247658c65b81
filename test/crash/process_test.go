// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// pod is where processes of the manager live, one after the other. Its spool
// outlives them, and it has a way of its own to the API server.
type pod struct {
	s      *scene
	api    *proxy
	folder string
	// provider is where its processes find the provider.
	provider []string
	// socket is where its courier answers; empty: it has none.
	socket string
}

// newPod makes a pod without a process.
func (s *scene) newPod() *pod {
	s.t.Helper()
	p := &pod{s: s, api: newProxy(s.t), folder: s.t.TempDir(), provider: s.server.Resolve(simulator.Hosts()...)}
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: p.api.address}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test"}
	config.CurrentContext = "test"
	s.must(clientcmd.WriteToFile(*config, filepath.Join(p.folder, "kubeconfig")))
	s.must(os.WriteFile(filepath.Join(p.folder, "ca.pem"), s.server.CAPEM(), 0o600))
	s.must(os.Mkdir(filepath.Join(p.folder, "spool"), 0o700))
	return p
}

// process is one life of the manager.
type process struct {
	s       *scene
	command *exec.Cmd
	output  string // file
	gone    chan struct{}
	err     error // once it is gone
}

// start begins a life of the manager, with further flags. It ends with the test
// at the latest.
func (p *pod) start(flags ...string) *process {
	s := p.s
	s.t.Helper()
	output, err := os.CreateTemp(p.folder, "output-")
	s.must(err)
	defer func() { _ = output.Close() }()
	way := p.wayOut()
	if p.socket != "" {
		way = []string{"--courier=unix:" + p.socket}
	}
	command := exec.Command(manager, slices.Concat([]string{
		"--kubeconfig=" + filepath.Join(p.folder, "kubeconfig"),
		"--namespaces=" + s.namespace,
		"--health-probe-bind-address=0",
		"--spool-dir=" + filepath.Join(p.folder, "spool"),
	}, way, flags)...)
	command.Env = append(os.Environ(), "POD_NAMESPACE="+s.namespace)
	return s.run(command, output)
}

// wayOut are the flags by which the simulated providers are called.
func (p *pod) wayOut() []string {
	return []string{
		"--egress-resolve=" + strings.Join(p.provider, ","),
		"--egress-ca-file=" + filepath.Join(p.folder, "ca.pem"),
		"--egress-allow-cidrs=127.0.0.0/8",
	}
}

// startCourier begins a life of the pod's courier, with further flags. The pod's managers
// use it from then on.
func (p *pod) startCourier(flags ...string) *process {
	s := p.s
	s.t.Helper()
	if p.socket == "" { // unix(7): a path of at most 108 bytes
		folder, err := os.MkdirTemp("", "courier-")
		s.must(err)
		s.t.Cleanup(func() { _ = os.RemoveAll(folder) })
		p.socket = filepath.Join(folder, "socket")
	}
	output, err := os.CreateTemp(p.folder, "courier-")
	s.must(err)
	defer func() { _ = output.Close() }()
	return s.run(exec.Command(manager, slices.Concat([]string{
		"courier", "--listen=unix:" + p.socket, "--spool-dir=" + filepath.Dir(p.socket),
	}, p.wayOut(), flags)...), output)
}

// run runs a process, and ends it with the test.
func (s *scene) run(command *exec.Cmd, output *os.File) *process {
	s.t.Helper()
	command.Stdout, command.Stderr = output, output
	s.must(command.Start())
	life := &process{s: s, command: command, output: output.Name(), gone: make(chan struct{})}
	go func() {
		life.err = command.Wait()
		close(life.gone)
	}()
	s.t.Cleanup(func() {
		_ = command.Process.Kill()
		<-life.gone
		if s.t.Failed() {
			s.t.Logf("process %d said:\n%s", command.Process.Pid, life.said())
		}
	})
	return life
}

// said is what the process has written so far.
func (p *process) said() string {
	text, err := os.ReadFile(p.output)
	p.s.must(err)
	return string(text)
}

func (p *process) signal(signal syscall.Signal) {
	p.s.t.Helper()
	p.s.must(p.command.Process.Signal(signal))
}

// freeze stops the process where it stands, thaw lets it go on.
func (p *process) freeze() { p.s.t.Helper(); p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.s.t.Helper(); p.signal(syscall.SIGCONT) }

// kill ends the process where it stands.
func (p *process) kill() {
	p.s.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.gone
	if p.err == nil {
		p.s.t.Error("a process that was killed ended in order")
	}
}

// terminate asks the process to end.
func (p *process) terminate() { p.s.t.Helper(); p.signal(syscall.SIGTERM) }

// lives tells whether the process has not ended.
func (p *process) lives() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// awaitEnd waits until the process has ended, whatever of.
func (p *process) awaitEnd() {
	p.s.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.s.t.Fatal("the manager does not end")
	}
}

// end waits until the process has ended: in order, or by the very signal where it
// came before the process had begun to listen for it.
func (p *process) end() {
	p.s.t.Helper()
	p.awaitEnd()
	if state := p.command.ProcessState.Sys().(syscall.WaitStatus); p.err != nil && state.Signal() != syscall.SIGTERM {
		p.s.t.Fatalf("the manager ended with %v", p.err)
	}
}

// stop asks the process to end and waits until it has.
func (p *process) stop() {
	p.s.t.Helper()
	p.terminate()
	p.end()
}
