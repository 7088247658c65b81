// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestARefreshTokenHasOneUser(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "two credentials on one Secret",
			shows:   []string{"two credentials on one Secret"},
			promise: "the older works, the younger stalls and calls nobody",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.younger(w.namespace, `the TokenCredential "xiaomi"`)
			},
		},
		{
			name:    "one token copied into two namespaces",
			shows:   []string{"one token copied into two namespaces"},
			promise: "the older works, the younger stalls and calls nobody; of the other namespace no more is told than that",
			play: func(w *world) {
				other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-other-"}}
				must(w.t, w.Create(w.t.Context(), other))
				w.namespaces = []string{w.namespace, other.Name}
				w.start()
				w.fresh()
				w.younger(other.Name, "a TokenCredential in another namespace")
			},
		},
		{
			name:    "two credentials on one Secret, made in the same moment",
			shows:   []string{"two credentials on one Secret"},
			promise: "one works, the other stalls; the token is sent once",
			play: func(w *world) {
				builtInNamed(w.t, xiaomi).create(w)
				spec := w.look(xiaomi).Spec
				spec.Target.Name = "twin-token"
				w.credential("twin", spec)
				w.start()
				w.await(xiaomi, "one of the two works and the other stalls", func(first *v1alpha1.TokenCredential) bool {
					twin := w.look("twin")
					return first.Status.RefreshCount+twin.Status.RefreshCount == 1 && isDuplicate(first) != isDuplicate(twin)
				})
				if calls := w.calls(); calls != 1 {
					w.t.Errorf("the provider got %d calls, want 1", calls)
				}
			},
		},
	})
}

func isDuplicate(c *v1alpha1.TokenCredential) bool {
	for _, condition := range c.Status.Conditions {
		if condition.Type == v1alpha1.StalledCondition && condition.Reason == v1alpha1.DuplicateSourceReason {
			return true
		}
	}
	return false
}

// younger gives a second credential the seed of the first, in a namespace, and
// checks what comes of both.
func (w *world) younger(namespace, named string) {
	w.t.Helper()
	spec := w.look(xiaomi).Spec
	spec.Target.Name = "younger-token"
	for _, name := range []string{xiaomi + "-app", xiaomi + "-seed"} {
		if namespace == w.namespace {
			break
		}
		copied := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: w.read(name)}
		must(w.t, w.Create(w.t.Context(), copied))
	}
	calls := w.calls()
	younger := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "younger"}, Spec: spec}
	must(w.t, w.Create(w.t.Context(), younger))
	if !w.eventually(func() bool {
		must(w.t, w.Get(w.t.Context(), client.ObjectKeyFromObject(younger), younger))
		return isDuplicate(younger)
	}) {
		w.t.Fatalf("the younger never stalled:\n%s", describe(younger))
	}
	if told := describe(younger); !strings.Contains(told, named) || namespace != w.namespace && strings.Contains(told, w.namespace) {
		w.t.Errorf("the younger does not tell of the older as %s:\n%s", named, told)
	}
	if w.calls() != calls {
		w.t.Errorf("the provider got %d calls, want none from the younger", w.calls()-calls)
	}
	w.fallDue()
	w.awaitRefreshes(xiaomi, 2)
	w.keptAndFresh()
	if w.calls() != calls+1 {
		w.t.Errorf("the provider got %d calls, want 1 from the older", w.calls()-calls)
	}
}

func TestACopiedStateIsNotTrusted(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "state restored from a backup in the same cluster",
			shows:   []string{"state restored from a backup in the same cluster"},
			promise: "its token, which is spent, is not sent; another seed cures it",
			play: func(w *world) {
				restored(w)
				w.stallsRestored()
				w.curedByAnotherSeed(0)
			},
		},
		{
			name:    "state restored from a backup in another cluster",
			shows:   []string{"state restored from a backup in another cluster"},
			promise: "its token is not sent; another seed cures it",
			play: func(w *world) {
				w.carryOver()
				w.stallsRestored()
				w.curedByAnotherSeed(0)
			},
		},
		{
			name:    "state restored from a backup in another cluster, and not used since",
			promise: "its own token, given as the seed, is its user's word that it is unspent",
			play: func(w *world) {
				w.carryOver()
				w.stallsRestored()
				before := w.look(xiaomi).Status.RefreshCount
				w.secret(xiaomi+"-seed", map[string]string{"refresh_token": w.state(xiaomi, "refresh_token")})
				w.awaitRefreshes(xiaomi, before+1)
				w.keptAndFresh()
				w.clock.shift(-2 * time.Hour) // in which nothing happened but the stall
				w.askForRefresh(xiaomi, "and again")
				w.awaitRefreshes(xiaomi, before+2)
				w.keptAndFresh()
			},
		},
	})
}

// restored puts a state back whose token has been spent since.
func restored(w *world) {
	operator := w.start()
	w.fresh()
	backup := w.backup()
	w.fallDue()
	w.awaitRefreshes(xiaomi, 2)
	operator.shutDown()
	w.deleteSecret(xiaomiState)
	must(w.t, w.Create(w.t.Context(), backup))
	w.start()
}

// backup is the state Secret as a backup tool would create it again.
func (w *world) backup() *corev1.Secret {
	w.t.Helper()
	saved := &corev1.Secret{}
	must(w.t, w.Get(w.t.Context(), w.key(xiaomiState), saved))
	saved.ResourceVersion, saved.UID, saved.ManagedFields = "", "", nil
	return saved
}

// carryOver makes the state that of another cluster, while the operator is down.
func (w *world) carryOver() {
	w.t.Helper()
	operator := w.start()
	w.fresh()
	operator.shutDown()
	var identity rotation.Identity
	must(w.t, json.Unmarshal([]byte(w.state(xiaomi, "identity")), &identity))
	identity.Cluster = "another"
	encoded, err := json.Marshal(identity)
	must(w.t, err)
	w.changeSecret(xiaomiState, func(s *corev1.Secret) { s.Data["identity"] = encoded })
	w.start()
}

func (w *world) stallsRestored() {
	w.t.Helper()
	w.stalls(v1alpha1.RestoredFromBackupReason, "authorize again", "spec.refreshTokenSecretRef", "the copy's own refresh_token")
	w.nothingIsSent()
}

func TestASpentSeedIsIgnored(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name:    "a GitOps tool puts a spent seed back, again and again",
			shows:   []string{"a GitOps tool puts a spent seed back, again and again"},
			promise: "it is ignored and told, and calls nobody",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.authorizeAgain()
				w.awaitRefreshes(xiaomi, 2)
				w.awaitFresh(xiaomi)
				calls := w.calls()
				for i := range 3 {
					w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
					w.awaitEvents(xiaomi, v1alpha1.SpentSeedIgnoredEvent, min(i+1, 2)) // a series tells the first two
					w.awaitLook(xiaomi)
					w.secret(xiaomi+"-seed", map[string]string{"refresh_token": otherSeed})
					w.awaitLook(xiaomi)
				}
				if w.calls() != calls {
					w.t.Errorf("the provider got %d calls, want none", w.calls()-calls)
				}
				w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
				w.fallDue()
				w.awaitRefreshes(xiaomi, 3)
				w.awaitFresh(xiaomi)
				w.kept("other", 0)
			},
		},
		{
			name:    "a GitOps tool puts a spent seed back while a person must authorize again",
			shows:   []string{"a GitOps tool puts a spent seed back, again and again"},
			promise: "it is no cure",
			play: func(w *world) {
				w.start()
				w.fresh()
				w.authorizeAgain()
				w.awaitRefreshes(xiaomi, 2)
				w.awaitFresh(xiaomi)
				w.simulator.QueueFault(xiaomiCalls, 1, simulator.Fault{AfterActing: true, Reset: true})
				w.fallDue()
				w.stalls(v1alpha1.OutcomeUnknownReason)
				w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
				w.awaitEvents(xiaomi, v1alpha1.SpentSeedIgnoredEvent, 1)
				w.nothingIsSent()
				w.kept("other", 0)
			},
		},
	})
}
