// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// patience bounds a wait for a condition; all is well long before.
const patience = 60 * time.Second

// name of the one credential of each scene.
const name = "shop"

// scene is a namespace with one Xiaomi credential, whose refresh tokens work once,
// and a provider; the manager comes and goes.
type scene struct {
	client.Client
	t         *testing.T
	namespace string
	folder    string
	provider  *simulator.Simulator
	flags     []string
}

// newScene makes a scene whose tokens live for the lifetime given.
func newScene(t *testing.T, lifetime simulator.Duration, change ...func(*v1alpha1.TokenCredential)) *scene {
	t.Helper()
	s := &scene{Client: apiserver.NewClient(t), t: t, folder: t.TempDir(), provider: simulator.New(simulator.DemoOptions(lifetime))}
	_, err := s.provider.Add(simulator.Demo())
	s.must(err)
	server, err := s.provider.Start("")
	s.must(err)
	t.Cleanup(func() { _ = server.Close() })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "crash-"}}
	s.must(s.Create(t.Context(), namespace))
	s.namespace = namespace.Name
	s.must(os.WriteFile(filepath.Join(s.folder, "ca.pem"), server.CAPEM(), 0o600))
	s.must(os.WriteFile(filepath.Join(s.folder, "kubeconfig"), apiserver.Kubeconfig, 0o600))
	s.must(os.Mkdir(filepath.Join(s.folder, "spool"), 0o700))
	s.flags = []string{
		"--kubeconfig=" + filepath.Join(s.folder, "kubeconfig"),
		"--namespaces=" + s.namespace,
		"--egress-resolve=" + strings.Join(server.Resolve(simulator.Hosts()...), ","),
		"--egress-ca-file=" + filepath.Join(s.folder, "ca.pem"),
		"--egress-allow-cidrs=127.0.0.0/8",
		"--health-probe-bind-address=0",
		"--spool-dir=" + filepath.Join(s.folder, "spool"),
	}
	s.secret("app", map[string]string{"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret})
	s.secret("seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
	credential := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Name: "xiaomi"},
			Parameters:            map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI},
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: "app"},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: "seed"},
		},
	}
	for _, each := range change {
		each(credential)
	}
	s.must(s.Create(t.Context(), credential))
	return s
}

func (s *scene) secret(name string, data map[string]string) {
	s.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, StringData: data}
	s.must(s.Create(s.t.Context(), secret))
}

// process is one life of the manager.
type process struct {
	s       *scene
	command *exec.Cmd
	output  *bytes.Buffer
	ended   chan error
}

// start begins a life of the manager. It ends with the test at the latest.
func (s *scene) start() *process {
	s.t.Helper()
	p := &process{s: s, command: exec.Command(manager, s.flags...), output: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.command.Stdout, p.command.Stderr = p.output, p.output
	s.must(p.command.Start())
	go func() { p.ended <- p.command.Wait() }()
	s.t.Cleanup(func() { _ = p.command.Process.Kill() })
	return p
}

// kill ends the process where it stands.
func (p *process) kill() {
	p.s.t.Helper()
	p.s.must(p.command.Process.Kill())
	if err := <-p.ended; err == nil {
		p.s.t.Error("a process that was killed ended in order")
	}
}

// terminate asks the process to end.
func (p *process) terminate() {
	p.s.t.Helper()
	p.s.must(p.command.Process.Signal(syscall.SIGTERM))
}

// end waits until the process has ended: in order, or by the very signal where it
// came before the process had begun to listen for it.
func (p *process) end() {
	p.s.t.Helper()
	select {
	case err := <-p.ended:
		if state := p.command.ProcessState.Sys().(syscall.WaitStatus); err != nil && state.Signal() != syscall.SIGTERM {
			p.s.t.Fatalf("the manager ended with %v:\n%s", err, p.output)
		}
	case <-time.After(patience):
		p.s.t.Fatal("the manager does not end")
	}
}

// await waits until something is so.
func (s *scene) await(what string, is func() bool) {
	s.t.Helper()
	err := wait.PollUntilContextTimeout(s.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		s.t.Fatalf("it never came to be that %s\n%s", what, s.describe())
	}
}

// awaitCalls waits until so many calls have reached the provider.
func (s *scene) awaitCalls(n int64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.provider.AwaitCalls(ctx, simulator.Match{}, n); err != nil {
		s.t.Fatalf("the provider got %d calls, want %d: %v\n%s", s.provider.Calls(simulator.Match{}), n, err, s.describe())
	}
}

func (s *scene) credential() *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{}
	s.must(s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, credential))
	return credential
}

// data of a Secret; nil where there is none.
func (s *scene) data(secret string) map[string][]byte {
	found := &corev1.Secret{}
	err := s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: secret}, found)
	s.must(client.IgnoreNotFound(err))
	return found.Data
}

func (s *scene) state(key string) string {
	return string(s.data(name + v1alpha1.StateSecretSuffix)[key])
}

func (s *scene) grant() simulator.GrantState {
	grant, _ := s.provider.Grant(simulator.DemoXiaomiGrant)
	return grant
}

// stalled tells whether the credential is stalled for a reason.
func (s *scene) stalled(reason string) bool {
	condition := meta.FindStatusCondition(s.credential().Status.Conditions, v1alpha1.StalledCondition)
	return condition != nil && condition.Reason == reason
}

// checkInvariant checks the promise: the provider's current refresh token is kept,
// or a condition says that it is not; and no spent token was sent.
func (s *scene) checkInvariant(reuses int64) {
	s.t.Helper()
	grant := s.grant()
	said := meta.IsStatusConditionTrue(s.credential().Status.Conditions, v1alpha1.StalledCondition)
	if s.state("refresh_token") != grant.Current && !said {
		s.t.Errorf("the current refresh token is not in the state, and no condition says so\n%s", s.describe())
	}
	if int64(grant.Reuses) != reuses {
		s.t.Errorf("a spent token was sent %d times, want %d\n%s", grant.Reuses, reuses, s.describe())
	}
}

func (s *scene) describe() string {
	status := s.credential().Status
	lines := []string{fmt.Sprintf("refreshes %d, the provider saw %d, reuses %d", status.RefreshCount, s.grant().Refreshes, s.grant().Reuses)}
	for _, c := range status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(lines, "\n")
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
