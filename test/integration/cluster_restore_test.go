// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestWhatIsPutBackOrMadeAgain(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "etcd put back", shows: []string{"etcd put back to an older revision under a living operator"},
			promise: "the spent token of the older state is not sent; a person is told what to do",
			play: func(w *world) {
				w.start()
				w.fresh()
				older := &corev1.Secret{}
				must(w.t, w.Get(w.t.Context(), w.key(xiaomiState), older))
				w.fallDue()
				w.awaitRefreshes(xiaomi, 2)
				w.awaitFresh(xiaomi)
				w.changeSecret(xiaomiState, func(s *corev1.Secret) { s.Data, s.Annotations = older.Data, older.Annotations })
				w.stallsRestored()
				w.curedByAnotherSeed(0)
			},
		},
		{
			name: "a namespace made again", shows: []string{"a namespace deleted and made again under the same name"},
			promise: "its credential works from the seed that it is given",
			play:    (*world).remakeNamespace,
		},
		{
			name: "Velero's order", shows: []string{"Secrets restored before credentials, and without owners"},
			promise: "no spent token is sent; each step that is told works",
			play:    (*world).restoreAsVelero,
		},
	})
}

// remakeNamespace deletes the world's namespace with all that is in it, and makes it
// and the credential again.
func (w *world) remakeNamespace() {
	w.t.Helper()
	w.start()
	w.fresh()
	must(w.t, w.Delete(w.t.Context(), w.look(xiaomi)))
	must(w.t, w.DeleteAllOf(w.t.Context(), &corev1.Secret{}, client.InNamespace(w.namespace)))
	namespace := &corev1.Namespace{}
	key := client.ObjectKey{Name: w.namespace}
	must(w.t, w.Get(w.t.Context(), key, namespace))
	must(w.t, w.Delete(w.t.Context(), namespace))
	must(w.t, w.Get(w.t.Context(), key, namespace))
	namespace.Spec.Finalizers = nil // the namespace controller's part
	must(w.t, w.SubResource("finalize").Update(w.t.Context(), namespace))
	if !w.eventually(func() bool { return apierrors.IsNotFound(w.Get(w.t.Context(), key, namespace)) }) {
		w.t.Fatal("the namespace is not gone")
	}
	must(w.t, w.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
		{ID: "other", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: otherSeed},
	}})
	must(w.t, err)
	again := builtInNamed(w.t, xiaomi)
	again.seed = otherSeed
	again.create(w)
	w.awaitRefreshes(xiaomi, 1)
	w.awaitFresh(xiaomi)
	w.kept("other", 0)
	if calls := w.calls(); calls != 2 {
		w.t.Errorf("the provider got %d calls, want 2", calls)
	}
}

// restoreAsVelero deletes everything, and makes it again as Velero does: Secrets
// first, without owners, then credentials, without status.
func (w *world) restoreAsVelero() {
	w.t.Helper()
	w.start()
	w.fresh()
	var secrets corev1.SecretList
	must(w.t, w.List(w.t.Context(), &secrets, client.InNamespace(w.namespace)))
	spec := w.look(xiaomi).Spec
	must(w.t, w.Delete(w.t.Context(), w.look(xiaomi)))
	must(w.t, w.DeleteAllOf(w.t.Context(), &corev1.Secret{}, client.InNamespace(w.namespace)))
	if !w.eventually(func() bool { return w.read(xiaomi+"-token") == nil }) {
		w.t.Fatal("the target stays")
	}
	for _, saved := range secrets.Items {
		must(w.t, w.Create(w.t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: saved.Name, Labels: saved.Labels, Annotations: saved.Annotations},
			Type:       saved.Type, Data: maps.Clone(saved.Data),
		}))
	}
	w.credential(xiaomi, spec)
	w.stalls(v1alpha1.TargetConflictReason, `"xiaomi-token"`, "delete it")
	w.deleteSecret(xiaomi + "-token")
	w.stallsRestored()
	if calls := w.calls(); calls != 1 {
		w.t.Errorf("the provider got %d calls, want 1", calls)
	}
	before := w.look(xiaomi).Status.RefreshCount
	w.secret(xiaomi+"-seed", map[string]string{"refresh_token": w.state(xiaomi, "refresh_token")}) // it was not used since
	w.awaitRefreshes(xiaomi, before+1)
	w.keptAndFresh()
}

// Each transition is told by one event, which does not repeat its reason.
func TestATransitionIsToldOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a transition")
	w := newWorld(t, simulator.Hour)
	w.start()
	w.fresh()
	w.awaitEvents(xiaomi, v1alpha1.RefreshedReason, 1)
	w.changeSecret(xiaomi+"-token", drifted)
	w.awaitEvents(xiaomi, v1alpha1.TargetRepairedEvent, 1)
	w.loseReplyOf(func() { w.fallDue() })
	w.authorizeAgain()
	w.awaitRefreshes(xiaomi, 2)
	w.awaitFresh(xiaomi)
	w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
	w.awaitEvents(xiaomi, v1alpha1.SpentSeedIgnoredEvent, 1)
	w.loseReplyOf(func() { w.fallDue() })
	w.awaitLook(xiaomi)
	want := map[string]int{
		v1alpha1.SeedAdoptedEvent: 2, v1alpha1.RefreshedReason: 2, v1alpha1.TargetRepairedEvent: 1,
		v1alpha1.OutcomeUnknownReason: 2, v1alpha1.SpentSeedIgnoredEvent: 1,
	}
	for reason, n := range want {
		w.awaitEvents(xiaomi, reason, n)
	}
	for _, event := range w.eventList() {
		if got := w.events(xiaomi, event.Reason); got != want[event.Reason] {
			t.Errorf("there are %d events %s, want %d: %s", got, event.Reason, want[event.Reason], event.Note)
		}
		if strings.Contains(event.Note, event.Reason) {
			t.Errorf("the message repeats its reason %s: %s", event.Reason, event.Note)
		}
	}
}

// loseReplyOf has the reply to the next call be lost, and waits until that is told.
func (w *world) loseReplyOf(call func()) {
	w.t.Helper()
	told := w.events(xiaomi, v1alpha1.OutcomeUnknownReason)
	w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Reset: true})
	call()
	w.stalls(v1alpha1.OutcomeUnknownReason)
	w.awaitEvents(xiaomi, v1alpha1.OutcomeUnknownReason, told+1)
}

// One namespace's calls fill every worker and every place at a host.
func TestANamespaceThatSaturatesTheOperator(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "one namespace that saturates workers and a host")
	const many, places = 80, concurrency / 2 // a host may have half of the workers
	w := newWorld(t, simulator.Hour)
	other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-other-"}}
	must(t, w.Create(t.Context(), other))
	busy := w.namespace
	w.namespaces = []string{busy, other.Name}
	w.createMany("busy", many, builtInNamed(t, service))
	w.namespace = other.Name
	newcomer := builtInNamed(t, "oauth2")
	hold := make(chan struct{})
	w.simulator.QueueFault(simulator.Match{Vendor: simulator.OAuth}, many, simulator.Fault{Until: hold})
	w.namespace = busy
	w.start()
	if !w.eventually(func() bool { return w.calls() >= places }) {
		t.Fatalf("there are %d calls under way, want %d", w.calls(), places)
	}
	w.namespace = other.Name
	newcomer.create(w)
	var seen int64
	w.simulator.ClearFaults()
	w.simulator.QueueFault(simulator.Match{Vendor: simulator.OAuth}, many, simulator.Fault{Delay: 50 * simulator.Millisecond})
	close(hold)
	if !w.eventually(func() bool {
		seen = w.calls()
		return w.simulator.Calls(simulator.Match{Grant: newcomer.grant}) > 0
	}) {
		t.Fatal("the newcomer is never served")
	}
	if most := int64(5 * concurrency); seen > most {
		t.Errorf("%d calls came before the newcomer's, want %d at most of %d", seen, most, many)
	}
	w.awaitFresh(newcomer.provider)
}
