// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestThePolicyHoldsAUserToTheirOwnRights has a user who may write TokenCredentials, and
// no Secret, ask for one.
func TestThePolicyHoldsAUserToTheirOwnRights(t *testing.T) {
	install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	may(t, "writes-credentials", rbacv1.PolicyRule{APIGroups: []string{"tokenkeeper.io"}, Resources: []string{"tokencredentials"}, Verbs: []string{"*"}})
	eventually(t, patience, "the policy refuses what it must", func() error {
		asked := credential("team-a", "stolen")
		err := as(t, "writes-credentials").Create(t.Context(), asked)
		if err == nil {
			_ = env.Delete(t.Context(), asked)
			return fmt.Errorf("a user who may read no Secret may have one sent to a provider")
		}
		if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ecret") {
			return err // the role is not known everywhere yet
		}
		return nil
	})
	may(t, "writes-both",
		rbacv1.PolicyRule{APIGroups: []string{"tokenkeeper.io"}, Resources: []string{"tokencredentials"}, Verbs: []string{"*"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}})
	lifetime(t, longLifetime)
	newCredential(t, "team-a", "shop") // its Secrets
	must(t, env.Delete(t.Context(), get(t, "team-a", "shop")))
	eventually(t, patience, "a user with rights on Secrets is let", func() error {
		return as(t, "writes-both").Create(t.Context(), credential("team-a", "own"))
	})
}

// may gives a user rules in the namespace team-a.
func may(t *testing.T, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	at := metav1.ObjectMeta{Namespace: "team-a", Name: user}
	must(t, env.Create(t.Context(), &rbacv1.Role{ObjectMeta: at, Rules: rules}))
	must(t, env.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: at, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}}}))
}

// as is the API server as a user sees it.
func as(t *testing.T, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(env.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	made, err := client.New(config, client.Options{Scheme: env.Scheme()})
	must(t, err)
	return made
}

// TestManyFailingCredentialsStayWithinTheContainersLimits has one tenant fail by the
// thousand, and looks at what the container has taken by its control group's own figures.
func TestManyFailingCredentialsStayWithinTheContainersLimits(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("it takes minutes")
	case env.node == "":
		t.Skip("the control groups of this cluster's nodes are not at hand")
	}
	const failing = 2000
	o := install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	newNamespace(t, "noisy")
	lifetime(t, longLifetime)
	newCredential(t, "noisy", "first") // the others work on its refresh token, which is good for one of them
	for n := range failing {
		made := credential("noisy", fmt.Sprintf("failing-%d", n))
		made.Spec.RefreshTokenSecretRef.Name = "first-seed"
		must(t, env.Create(t.Context(), made))
	}
	newCredential(t, "team-a", "shop")
	awaitReady(t, "team-a", "shop")
	eventually(t, 3*patience, "each has been looked at", func() error {
		list := &v1alpha1.TokenCredentialList{}
		if err := env.List(t.Context(), list, client.InNamespace("noisy")); err != nil {
			return err
		}
		for _, each := range list.Items {
			if len(each.Status.Conditions) == 0 {
				return fmt.Errorf("%s has not", each.Name)
			}
		}
		return nil
	})
	pod := o.pods(t)[0]
	limit := pod.Spec.Containers[0].Resources.Limits.Memory().Value()
	peak := peakMemory(t, string(pod.UID))
	report(t, fmt.Sprintf("peak memory of the container with %d credentials that fail", failing), "%d MiB of %d MiB", peak>>20, limit>>20)
	if peak > limit*9/10 || pod.Status.ContainerStatuses[0].RestartCount > 0 {
		t.Errorf("%d bytes of %d, restarted %d times", peak, limit, pod.Status.ContainerStatuses[0].RestartCount)
	}
}

// peakMemory is the most that the containers of a pod had at once, by either version of
// control groups (https://docs.kernel.org/admin-guide/cgroup-v2.html, memory.peak).
func peakMemory(t *testing.T, uid string) int64 {
	t.Helper()
	most := int64(0)
	must(t, filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "memory.max_usage_in_bytes" && entry.Name() != "memory.peak" {
			return nil //nolint:nilerr // groups come and go
		}
		group := filepath.Dir(path)
		if !strings.Contains(strings.ReplaceAll(group, "_", "-"), uid) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		value, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		most = max(most, value)
		return nil
	}))
	if most == 0 {
		t.Fatal("the container's control group has no figure")
	}
	return most
}
