// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// underLoad are how many credentials are renewed all the time while something restarts.
const underLoad = 10

// TestWhatRestartsCostsNoToken restarts each part of a cluster while tokens are renewed.
// Afterwards every grant has its current token, and no spent one was sent.
func TestWhatRestartsCostsNoToken(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten minutes")
	}
	o := install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	for n := range underLoad {
		newCredential(t, "team-a", fmt.Sprintf("shop-%d", n))
		awaitReady(t, "team-a", fmt.Sprintf("shop-%d", n))
	}
	lifetime(t, 20*time.Second)
	for n := range underLoad {
		change(t, "team-a", fmt.Sprintf("shop-%d", n), func(c *v1alpha1.TokenCredential) { annotate(c, "tokenkeeper.io/refreshAt", "load") })
	}
	reuses := env.simulator.Totals().Reuses
	for _, each := range []struct {
		name     string
		nodeOnly bool
		restart  func(*testing.T)
	}{
		{"the operator, by a rolling upgrade", false, func(t *testing.T) { rollOut(t, o) }},
		{"the API server", true, func(t *testing.T) { killProcess(t, "", "kube-apiserver") }},
		{"etcd", true, func(t *testing.T) { killProcess(t, "", "etcd") }},
		{"the node, with every pod on it", true, reboot},
	} {
		t.Run(each.name, func(t *testing.T) {
			if each.nodeOnly && env.node == "" {
				t.Skip("it is not for a test to restart what a cluster of others is made of")
			}
			before := env.simulator.Totals().Refreshes
			each.restart(t)
			started := time.Now()
			eventually(t, 2*patience, "tokens are renewed again", func() error {
				if got := env.simulator.Totals().Refreshes; got < before+2*underLoad {
					return fmt.Errorf("%d renewals since", got-before)
				}
				return nil
			})
			t.Logf("renewed twice over within %s", time.Since(started).Round(time.Second))
		})
	}
	lost := 0
	settle(t, underLoad, &lost)
	report(t, "grants lost over a rolling upgrade and restarts of API server, etcd and node", "%d of %d", lost, underLoad)
	report(t, "spent tokens that were sent", "%d", env.simulator.Totals().Reuses-reuses)
	if got := env.simulator.Totals().Reuses - reuses; got > 0 || lost > 0 {
		t.Errorf("%d spent tokens were sent, and %d grants lost", got, lost)
	}
}

// rollOut has the deployment replace its pods, as a change of the image does.
func rollOut(t *testing.T, o *operator) {
	t.Helper()
	patch := `{"spec":{"template":{"metadata":{"annotations":{"restarted-at":"` + time.Now().String() + `"}}}}}`
	must(t, env.Patch(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: o.deployment.Namespace, Name: o.deployment.Name}},
		client.RawPatch("application/merge-patch+json", []byte(patch))))
	o.awaitReady(t)
}

// reboot kills kubelet, containerd and all that runs in pods, as a power cut does.
func reboot(t *testing.T) {
	t.Helper()
	hold(t, "kubelet", "containerd")
	for _, name := range []string{"kubelet", "containerd", "containerd-shim-runc-v2", "containerd-shim"} {
		for _, pid := range processes(t, "", name) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone with another
		}
	}
	for _, name := range []string{"manager", "consumer", "pause"} {
		for _, pid := range processes(t, "tokenkeeper-node", name) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	release(t, "containerd", "kubelet")
}

// hold keeps the node's components from being started again, release lets them.
func hold(t *testing.T, components ...string) {
	t.Helper()
	for _, each := range components {
		must(t, os.WriteFile(filepath.Join(env.node, "hold", each), nil, 0o600))
	}
}

func release(t *testing.T, components ...string) {
	t.Helper()
	for _, each := range components {
		must(t, os.Remove(filepath.Join(env.node, "hold", each)))
	}
}

// TestEtcdPutBackSendsNoSpentToken puts etcd back to a copy that is older than the last
// renewal: the state then holds a token that the provider has taken already.
func TestEtcdPutBackSendsNoSpentToken(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("it takes minutes")
	case env.node == "":
		t.Skip("it is not for a test to put back the etcd of a cluster of others")
	}
	install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	lifetime(t, longLifetime)
	newCredential(t, "team-a", "shop")
	awaitReady(t, "team-a", "shop")
	reuses := env.simulator.Totals().Reuses

	copied := filepath.Join(t.TempDir(), "copy")
	withoutEtcd(t, func(data string) { must(t, os.CopyFS(copied, os.DirFS(data))) })
	change(t, "team-a", "shop", func(c *v1alpha1.TokenCredential) { annotate(c, "tokenkeeper.io/refreshAt", "1") })
	awaitReady(t, "team-a", "shop", refreshedMoreThan(1))
	withoutEtcd(t, func(data string) {
		must(t, os.RemoveAll(data))
		must(t, os.CopyFS(data, os.DirFS(copied)))
	})

	// Asked for the next token, it must not send what it has.
	change(t, "team-a", "shop", func(c *v1alpha1.TokenCredential) { annotate(c, "tokenkeeper.io/refreshAt", "2") })
	eventually(t, 2*patience, "the credential says what a person must do, or has its current token", func() error {
		found := get(t, "team-a", "shop")
		if stalled := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.StalledCondition); stalled != nil {
			report(t, "what a credential says after etcd was put back", "%s", stalled.Reason)
			return nil
		}
		if err := holdsCurrentToken(t, "team-a", "shop"); err != nil {
			return fmt.Errorf("%w; its conditions are %s", err, conditions(found))
		}
		report(t, "what a credential says after etcd was put back", "nothing: its token was saved again")
		return nil
	})
	if got := env.simulator.Totals().Reuses - reuses; got > 0 {
		t.Errorf("%d spent tokens were sent", got)
	}
	// What a person does: a new grant.
	seed(t, "team-a", "shop")
	awaitReady(t, "team-a", "shop", func(*v1alpha1.TokenCredential) error { return holdsCurrentToken(t, "team-a", "shop") })
}

// withoutEtcd stops etcd and the API server, whose caches would not know what is done to
// etcd's folder, and waits until both are back.
func withoutEtcd(t *testing.T, do func(folder string)) {
	t.Helper()
	hold(t, "etcd", "kube-apiserver")
	killProcess(t, "", "kube-apiserver")
	killProcess(t, "", "etcd")
	eventually(t, patience, "etcd has ended", func() error {
		if len(processes(t, "", "etcd"))+len(processes(t, "", "kube-apiserver")) > 0 {
			return errors.New("it has not")
		}
		return nil
	})
	do(filepath.Join(env.node, "etcd", "data"))
	release(t, "etcd", "kube-apiserver")
	eventually(t, patience, "the API server is back", func() error {
		return env.Get(t.Context(), client.ObjectKey{Name: "default"}, &corev1.Namespace{})
	})
}
