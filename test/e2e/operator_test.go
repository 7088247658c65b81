// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// TestInstalledAsShippedItNeedsNoMoreThanItsRoles has the operator do each kind of its work
// with the roles that it ships, as a pod that Pod Security holds to its strictest standard,
// and takes it away again. Nothing may be refused, and nothing may be left.
func TestInstalledAsShippedItNeedsNoMoreThanItsRoles(t *testing.T) {
	for _, way := range []string{"the one-file installer", "the Helm chart"} {
		t.Run("by "+way, func(t *testing.T) {
			before := everything(t)
			_, audited := readAudit(t, 0)
			var o *operator
			t.Run("it works", func(t *testing.T) {
				o = install(t, installedBy[way], 1)
				isRestricted(t, o)
				newNamespace(t, "team-a")
				eachKindOfWork(t)
				o.checkAudit(t, audited)
			})
			if !t.Failed() {
				leavesNothing(t, before)
			}
		})
	}
}

// eachKindOfWork uses what the operator may do, in the namespace team-a.
func eachKindOfWork(t *testing.T) {
	t.Helper()
	lifetime(t, longLifetime)
	newCredential(t, "team-a", "shop")
	awaitReady(t, "team-a", "shop")

	// A refresh on demand, of a token that is spent by it.
	change(t, "team-a", "shop", func(c *v1alpha1.TokenCredential) { annotate(c, "tokenkeeper.io/refreshAt", "1") })
	awaitReady(t, "team-a", "shop", refreshedMoreThan(1))

	// A target that somebody deletes comes back, and one that somebody changes.
	must(t, env.Delete(t.Context(), secret(t, "team-a", "shop-token")))
	eventually(t, patience, "the target comes back", func() error { return holdsCurrentToken(t, "team-a", "shop") })

	// Further data in a Secret of others.
	must(t, env.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "merged-token"}, StringData: map[string]string{"own": "data"}}))
	newCredential(t, "team-a", "merged", func(c *v1alpha1.TokenCredential) { c.Spec.Target.CreationPolicy = v1alpha1.MergePolicy })
	awaitReady(t, "team-a", "merged")

	// The seed kept up to date.
	newCredential(t, "team-a", "written", func(c *v1alpha1.TokenCredential) { c.Spec.RefreshTokenSecretRef.WriteBack = true })
	awaitReady(t, "team-a", "written")
	eventually(t, patience, "the live token is written back", func() error {
		if seed, state := secret(t, "team-a", "written-seed"), secret(t, "team-a", "written-token-state"); string(seed.Data["refresh_token"]) != string(state.Data["refresh_token"]) {
			return fmt.Errorf("the seed is another")
		}
		return nil
	})

	// Another target, and the end of one.
	must(t, env.Delete(t.Context(), get(t, "team-a", "merged")))
	must(t, env.Delete(t.Context(), get(t, "team-a", "shop")))
	eventually(t, patience, "the target of a deleted credential goes", func() error {
		if secret(t, "team-a", "shop-token") != nil {
			return fmt.Errorf("it is still there")
		}
		return nil
	})

	// A provider of one's own.
	eventually(t, patience, "there is a provider", func() error { return env.Create(t.Context(), provider("own")) })
	eventually(t, patience, "the provider is compiled", func() error {
		found := &v1alpha1.ClusterTokenProvider{}
		if err := env.Get(t.Context(), client.ObjectKey{Name: "own"}, found); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ReadyCondition) {
			return fmt.Errorf("its conditions are %v", found.Status.Conditions)
		}
		return nil
	})
}

// provider is the smallest description that compiles, for some namespaces.
func provider(name string) *v1alpha1.ClusterTokenProvider {
	made := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: name}}
	made.Spec.Refresh = &v1alpha1.ProviderCall{
		Request:  v1alpha1.ProviderRequest{URL: simulator.DemoOAuthTokenURL, Form: map[string]string{"grant_type": "refresh_token", "refresh_token": "${refreshToken}"}},
		Response: v1alpha1.ProviderResponse{AccessToken: "body.access_token"},
	}
	return made
}

// isRestricted checks what the kubelet was given, after admission.
func isRestricted(t *testing.T, o *operator) {
	t.Helper()
	for _, pod := range o.pods(t) {
		for _, each := range pod.Spec.Containers {
			c := each.SecurityContext
			if c == nil || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem || c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation ||
				c.Capabilities == nil || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) {
				t.Errorf("container %s is not restricted: %+v", each.Name, c)
			}
		}
		for _, each := range pod.Status.ContainerStatuses {
			if each.RestartCount > 0 {
				t.Errorf("container %s was restarted: %+v", each.Name, each.LastTerminationState)
			}
		}
	}
}

// everything lists the objects of all kinds that can be listed, but for what a cluster
// makes and forgets by itself.
func everything(t *testing.T) map[string]bool {
	t.Helper()
	lists, err := discovery.NewDiscoveryClientForConfigOrDie(env.config).ServerPreferredResources()
	if len(lists) == 0 { // a group that has just gone is an error beside the others
		t.Fatal(err)
	}
	ignored := []string{"Event", "Lease", "EndpointSlice", "Endpoints", "ControllerRevision", "ComponentStatus", "IPAddress"}
	found := map[string]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		must(t, err)
		for _, kind := range list.APIResources {
			if !slices.Contains(kind.Verbs, "list") || slices.Contains(ignored, kind.Kind) {
				continue
			}
			objects := &metav1.PartialObjectMetadataList{}
			objects.SetGroupVersionKind(version.WithKind(kind.Kind + "List"))
			if err := env.List(t.Context(), objects); err != nil {
				continue // of a kind that has just gone
			}
			for _, each := range objects.Items {
				found[strings.Join([]string{kind.Kind, each.Namespace, each.Name}, " ")] = true
			}
		}
	}
	return found
}

// leavesNothing compares what is there with what was before.
func leavesNothing(t *testing.T, before map[string]bool) {
	t.Helper()
	eventually(t, patience, "nothing is left of what was uninstalled", func() error {
		left := []string{}
		for each := range everything(t) {
			if !before[each] {
				left = append(left, each)
			}
		}
		if len(left) > 0 {
			slices.Sort(left)
			return fmt.Errorf("there is still:\n%s", strings.Join(left, "\n"))
		}
		return nil
	})
	report(t, "objects that are left after it was uninstalled", "0")
}

// change changes a credential, whoever else does meanwhile.
func change(t *testing.T, namespace, name string, how func(*v1alpha1.TokenCredential)) {
	t.Helper()
	eventually(t, patience, name+" is changed", func() error {
		found := get(t, namespace, name)
		how(found)
		return env.Update(t.Context(), found)
	})
}

func annotate(object metav1.Object, key, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	object.SetAnnotations(annotations)
}
