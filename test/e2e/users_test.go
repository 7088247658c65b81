// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// TestWhatUsersDoWorksFromTheCommandLine does a user's everyday work with kubectl and its
// plugin.
func TestWhatUsersDoWorksFromTheCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	lifetime(t, longLifetime)
	line := newCommandLine(t)
	newCredential(t, "team-a", "shop")
	line.kubectl("wait", "--for=condition=Ready", "tokencred/shop", "--timeout=120s")
	if got := line.kubectl("get", "tokencred"); !strings.Contains(got, "TokenValid") || !strings.Contains(got, "shop-token") {
		t.Errorf("kubectl get shows:\n%s", got)
	}

	t.Run("a refresh that is asked for by the annotation", func(t *testing.T) {
		line.kubectl("annotate", "tokencred", "shop", "tokenkeeper.io/refreshAt="+time.Now().Format(time.RFC3339Nano), "--overwrite")
		awaitReady(t, "team-a", "shop", refreshedMoreThan(1))
	})
	t.Run("a refresh that is asked for by the plugin", func(t *testing.T) {
		line.plugin("refresh", "shop", "--timeout=2m")
		awaitReady(t, "team-a", "shop", refreshedMoreThan(2))
	})
	t.Run("a target that somebody edits is put right", func(t *testing.T) {
		line.kubectl("patch", "secret", "shop-token", "--type=merge", "--patch", `{"stringData":{"access_token":"wrong"}}`)
		eventually(t, patience, "the target is right again", func() error { return holdsCurrentToken(t, "team-a", "shop") })
	})
	t.Run("suspended, nothing is asked for; resumed, it is", func(t *testing.T) {
		line.plugin("suspend", "shop")
		before := env.simulator.Totals().Refreshes
		line.kubectl("annotate", "tokencred", "shop", "tokenkeeper.io/refreshAt=suspended", "--overwrite")
		if got := line.kubectl("get", "tokencred", "shop", "-o", "wide"); !strings.Contains(got, "true") {
			t.Errorf("kubectl get does not say that it is suspended:\n%s", got)
		}
		if got := env.simulator.Totals().Refreshes; got != before {
			t.Errorf("the provider was asked %d times", got-before)
		}
		line.plugin("resume", "shop")
		eventually(t, patience, "the token is renewed", func() error {
			if env.simulator.Totals().Refreshes == before {
				return errors.New("the provider has not been asked")
			}
			return nil
		})
	})
	t.Run("a grant that the user has withdrawn is replaced by another seed", func(t *testing.T) {
		grant, ok := env.simulator.GrantOf(string(secret(t, "team-a", "shop-token-state").Data["refresh_token"]))
		if !ok || !env.simulator.Revoke(grant.ID) {
			t.Fatal("the provider does not know the token in the state")
		}
		line.kubectl("annotate", "tokencred", "shop", "tokenkeeper.io/refreshAt=revoked", "--overwrite")
		line.kubectl("wait", "--for=condition=Stalled", "tokencred/shop", "--timeout=120s")
		if got := line.unwell("status", "shop"); !strings.Contains(got, v1alpha1.ReauthorizationRequiredReason) {
			t.Errorf("the plugin does not say what is wrong:\n%s", got)
		}
		seed(t, "team-a", "shop")
		awaitReady(t, "team-a", "shop", func(*v1alpha1.TokenCredential) error { return holdsCurrentToken(t, "team-a", "shop") })
	})
	t.Run("a login by name and password, where there is no token yet", func(t *testing.T) {
		withLogin(t)
		awaitReady(t, "team-a", "oracle")
	})
}

// withLogin makes a credential of Oracle Commerce, which logs in.
func withLogin(t *testing.T) {
	t.Helper()
	must(t, env.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "oracle-login"},
		StringData: map[string]string{"username": simulator.DemoOracleStoreUsername, "password": simulator.DemoOracleStorePassword}}))
	made := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "oracle"}}
	made.Spec.ProviderRef.Name = "oracle-commerce-store"
	made.Spec.Parameters = map[string]string{"site": simulator.DemoShopHost}
	made.Spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: "oracle-login"}
	must(t, env.Create(t.Context(), made))
}

// commandLine is a user's.
type commandLine struct {
	t          *testing.T
	kubeconfig string
	path       string // of the plugin
}

func newCommandLine(t *testing.T) *commandLine {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("there is no kubectl on the PATH")
	}
	kubeconfig := os.Getenv("E2E_KUBECONFIG")
	if kubeconfig == "" {
		kubeconfig = filepath.Join(env.node, "kubeconfig", "admin")
	}
	plugin := filepath.Join(t.TempDir(), "kubectl-tokencredential")
	must(t, command(t.Context(), repository, "go", "build", "-o", plugin, "./cmd/kubectl-tokencredential"))
	return &commandLine{t: t, kubeconfig: kubeconfig, path: plugin}
}

func (l *commandLine) kubectl(arguments ...string) string { return l.run(0, "kubectl", arguments) }
func (l *commandLine) plugin(arguments ...string) string  { return l.run(0, l.path, arguments) }

// unwell is what the plugin prints of a credential that is not well, which its exit code
// says too.
func (l *commandLine) unwell(arguments ...string) string { return l.run(2, l.path, arguments) }

// run returns what a program prints that ends with an exit code.
func (l *commandLine) run(code int, program string, arguments []string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*patience)
	defer cancel()
	made := exec.CommandContext(ctx, program, append(arguments, "--namespace=team-a", "--kubeconfig="+l.kubeconfig)...)
	printed, err := made.CombinedOutput()
	if made.ProcessState.ExitCode() != code {
		l.t.Fatal(fmt.Errorf("%s %s: %w, want exit code %d\n%s", filepath.Base(program), strings.Join(arguments, " "), err, code, printed))
	}
	return string(printed)
}
