// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// many is how many credentials the shards share.
const many = 24

func TestTwoShardsByLabelShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	for i, shard := range []string{"shard=1", "shard!=1"} { // together: all there are
		selector, err := labels.Parse(shard)
		must(t, err)
		w.selector = selector
		w.start()
		if i == 0 {
			w.populate(w.namespace, many)
		}
	}
	w.eachOnce(w.namespace)

	// One changes hands: it goes on where it was, and keeps its target.
	moved := w.look("credential-0")
	before := moved.DeepCopy()
	moved.Labels["shard"] = "2"
	must(t, w.Patch(t.Context(), moved, client.MergeFrom(before)))
	w.askForRefresh(moved.Name, "in the other shard")
	w.await(moved.Name, "a refresh by the other shard", func(c *v1alpha1.TokenCredential) bool {
		return c.Status.LastHandledRefreshAt == "in the other shard" && c.Status.RefreshCount == 2
	})
	w.awaitFresh(moved.Name)
	if token := string(w.read(moved.Name)["access_token"]); !w.simulator.AccessTokenValid(token) {
		t.Error("the target of a credential that changed hands holds no valid token")
	}
	if calls := w.calls(); calls != many+1 {
		t.Errorf("the provider got %d calls, want one for each of %d credentials, and one more", calls, many)
	}
}

func TestTwoShardsByNamespaceShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-other-"}}
	must(t, w.Create(t.Context(), other))
	for _, namespace := range []string{w.namespace, other.Name} {
		w.namespaces = []string{namespace}
		w.start()
		w.populate(namespace, many/2)
	}
	w.eachOnce(w.namespace, other.Name)
}

// populate makes credentials for machines, half of which are in shard 1.
func (w *world) populate(namespace string, n int) {
	w.t.Helper()
	b := builtInNamed(w.t, "oauth2-client-credentials")
	app := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}, StringData: b.app}
	must(w.t, w.Create(w.t.Context(), app))
	for i := range n {
		credential := &v1alpha1.TokenCredential{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: fmt.Sprintf("credential-%d", i),
				Labels: map[string]string{"shard": fmt.Sprint(1 + i%2)},
			},
			Spec: v1alpha1.TokenCredentialSpec{
				ProviderRef:  v1alpha1.ProviderReference{Name: b.provider},
				Parameters:   b.parameters,
				AppSecretRef: &v1alpha1.AppSecretReference{Name: "app"},
			},
		}
		must(w.t, w.Create(w.t.Context(), credential))
	}
}

// eachOnce waits until all credentials of the namespaces have a token, and checks
// that each was worked on by one operator alone.
func (w *world) eachOnce(namespaces ...string) {
	w.t.Helper()
	for _, namespace := range namespaces {
		var all v1alpha1.TokenCredentialList
		if !w.eventually(func() bool {
			must(w.t, w.List(w.t.Context(), &all, client.InNamespace(namespace)))
			for i := range all.Items {
				if all.Items[i].Status.RefreshCount == 0 {
					return false
				}
			}
			return true
		}) {
			w.t.Fatalf("a credential in %s is worked on by nobody", namespace)
		}
	}
	if calls := w.calls(); calls != many {
		w.t.Errorf("the provider got %d calls, want one for each of %d credentials", calls, many)
	}
}
