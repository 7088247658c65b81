// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// clusterWide has the operator watch all namespaces, and in them the credential of
// this world alone.
func (w *world) clusterWide() {
	w.t.Helper()
	w.namespaces = []string{}
	w.selector = labels.SelectorFromSet(labels.Set{"of": w.namespace})
	w.start()
	credential := builtInNamed(w.t, xiaomi)
	credential.seed = "seed-of-" + w.namespace // the operator sees the states of other worlds, and theirs is one seed
	_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
		{ID: credential.seed, Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: credential.seed},
	}})
	must(w.t, err)
	credential.create(w, ofCluster(w))
	w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { c.Labels = map[string]string{"of": w.namespace} })
}

// letIn has the provider's admin say whose credentials may use it; nil: everybody's.
func (w *world) letIn(namespaces *v1alpha1.ProviderNamespaces) {
	w.t.Helper()
	w.describeProvider(func(spec *v1alpha1.ClusterTokenProviderSpec) { spec.Namespaces = namespaces })
}

// relabel changes the labels of the world's namespace.
func (w *world) relabel(change map[string]string) {
	w.t.Helper()
	namespace := &corev1.Namespace{}
	must(w.t, w.Get(w.t.Context(), client.ObjectKey{Name: w.namespace}, namespace))
	before := namespace.DeepCopy()
	for key, value := range change {
		metav1.SetMetaDataLabel(&namespace.ObjectMeta, key, value)
	}
	must(w.t, w.Patch(w.t.Context(), namespace, client.MergeFrom(before)))
}

// isKeptOut waits until the credential's last attempt says that its namespace may not
// use the provider.
func (w *world) isKeptOut(says ...string) {
	w.t.Helper()
	_, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.ProviderNotFoundReason)
	for _, part := range append(says, "may not be used from namespace", w.namespace) {
		if !strings.Contains(refreshed.Message, part) {
			w.t.Errorf("the message does not say %q: %s", part, refreshed.Message)
		}
	}
	if w.isStalled() {
		w.t.Error("it has stalled: it becomes right without a change of the credential")
	}
}

// TestWhatAnAdminSaysOfNamespacesIsSeenAtOnce runs before the others: an operator that watches
// all namespaces keys the digests that TestAnUpgradeKeysAllDigestsAndCallsNobody has put there.
func TestWhatAnAdminSaysOfNamespacesIsSeenAtOnce(t *testing.T) { //nolint:paralleltest // see above
	faults.Shows(t, "a provider used that is meant for other namespaces")
	faults.Shows(t, "a provider used after its admin has narrowed it")
	w := newWorld(t, simulator.Hour)
	paid := &v1alpha1.ProviderNamespaces{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"plan": "paid"}}}

	w.letIn(&v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*"}})
	w.clusterWide()
	w.isKeptOut("spec.namespaces")
	if calls := w.calls(); calls != 0 {
		t.Errorf("the provider got %d calls from a namespace that may not use it", calls)
	}
	w.letIn(&v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{"team-*", "test-*"}})
	w.awaitFresh(xiaomi)

	w.letIn(paid)
	w.isKeptOut()
	w.askForRefresh(xiaomi, "kept out")
	w.isKeptOut()
	w.relabel(map[string]string{"plan": "paid"})
	w.await(xiaomi, "refreshed", func(c *v1alpha1.TokenCredential) bool { return c.Status.LastHandledRefreshAt == "kept out" })
	w.awaitFresh(xiaomi)
	w.relabel(map[string]string{"plan": "free"})
	w.isKeptOut()
	w.letIn(nil)
	w.awaitFresh(xiaomi)
	if calls := w.calls(); calls != 2 {
		t.Errorf("the provider got %d calls, want the first and the one that was asked for", calls)
	}
}

func TestAnOperatorForSomeNamespacesCannotJudgeLabels(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a provider chosen by labels, where the operator reads none")
	w := newWorld(t, simulator.Hour)
	w.relabel(map[string]string{"plan": "paid"})
	w.letIn(&v1alpha1.ProviderNamespaces{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"plan": "paid"}}})
	w.start()
	builtInNamed(t, xiaomi).create(w, ofCluster(w))
	w.isKeptOut("--namespaces", "spec.namespaces.names")
	w.letIn(&v1alpha1.ProviderNamespaces{Names: []v1alpha1.NamespacePattern{v1alpha1.NamespacePattern(w.namespace)}})
	w.awaitFresh(xiaomi)
}
