// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	service = "oauth2-client-credentials" // its tokens are kept in the target alone
	// longestPause is the most between two repairs.
	longestPause = 5 * time.Minute
	// rounds of a fight, after which a repair waits for half a minute.
	rounds    = 6
	thenPause = 30 * time.Second
)

func TestOtherWritersOfATarget(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "two credentials on one key", shows: []string{"two credentials on one key of one Secret"},
			promise: "one works; the other stalls before it calls, and names the first",
			play:    (*world).shareAKey,
		},
		{
			name: "a label that is reset", shows: []string{"a policy that resets a label of the target each time"},
			promise: "it is repaired ever later, without a call, and told once",
			play:    (*world).fightOverALabel,
		},
		{
			name: "a target that is deleted", shows: []string{"a target that is deleted again and again"},
			promise: "the calls that fill it again are paced",
			play:    (*world).deleteAgainAndAgain,
		},
		{
			name: "a write-back that is refused", shows: []string{"a write-back that is refused"},
			promise: "it is told, and renewals are on time",
			play:    (*world).refuseWriteBack,
		},
		{
			name: "a write-back that a tool undoes", shows: []string{"a tool that puts the old seed back over each write-back"},
			promise: "it is written back ever later, told once, and calls nobody",
			play:    (*world).undoWriteBack,
		},
	})
}

// shareAKey has two credentials write one key of one Secret.
func (w *world) shareAKey() {
	w.t.Helper()
	w.secret("shared", map[string]string{"theirs": "x"})
	builtInNamed(w.t, service).create(w, func(spec *v1alpha1.TokenCredentialSpec) {
		spec.Target = v1alpha1.Target{Name: "shared", CreationPolicy: v1alpha1.MergePolicy}
	})
	w.credential("other", w.look(service).Spec)
	w.start()
	names := []string{service, "other"}
	isRival := func(name string) bool { // of the same second: either may count as the younger
		return strings.Contains(describe(w.look(name)), "Stalled=True "+v1alpha1.TargetConflictReason)
	}
	w.await(service, "one stalls and the other has a token", func(*v1alpha1.TokenCredential) bool {
		first, second := w.look(names[0]).Status.RefreshCount, w.look(names[1]).Status.RefreshCount
		return isRival(names[0]) != isRival(names[1]) && first+second == 1
	})
	if isRival(names[0]) {
		names[0], names[1] = names[1], names[0]
	}
	w.awaitFresh(names[0])
	if told := describe(w.look(names[1])); !strings.Contains(told, fmt.Sprintf("TokenCredential %q", names[0])) || !strings.Contains(told, "access_token") {
		w.t.Errorf("the one that stalls does not name the other and the key:\n%s", told)
	}
	w.awaitLook(names[0])
	w.awaitLook(names[1])
	if calls := w.calls(); calls != 1 {
		w.t.Errorf("the provider got %d calls, want 1", calls)
	}
	must(w.t, w.Delete(w.t.Context(), w.look(names[0])))
	w.nudge(names[1])
	w.awaitFresh(names[1])
	if string(w.read("shared")["theirs"]) != "x" {
		w.t.Error("another's key was not left alone")
	}
}

// fightOverALabel resets a label of the target each time that it is repaired.
func (w *world) fightOverALabel() {
	w.t.Helper()
	writes := &apiRefusals{}
	w.verbosity = 5 // at which each look at a credential is logged
	w.wire = writes.count(writesTo(xiaomi + "-token"))
	w.start()
	w.fresh(func(spec *v1alpha1.TokenCredentialSpec) {
		spec.Target.Template = &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{"team": "shop"}}}
	})
	reset := func(value string) {
		w.changeSecret(xiaomi+"-token", func(s *corev1.Secret) {
			metav1.SetMetaDataLabel(&s.ObjectMeta, "team", value)
			metav1.SetMetaDataLabel(&s.ObjectMeta, "theirs", "kept")
		})
	}
	repaired := func() bool { return w.label(xiaomi+"-token", "team") == "shop" }
	for range rounds {
		w.clock.shift(longestPause)
		reset("policy")
		if !w.eventually(repaired) {
			w.t.Fatalf("the label is not repaired:\n%s", describe(w.look(xiaomi)))
		}
		w.settles(xiaomi)
	}
	reset("policy")
	w.await(xiaomi, "the other writer is named", func(c *v1alpha1.TokenCredential) bool {
		told := describe(c)
		return strings.Contains(told, "another writer keeps changing") && strings.Contains(told, "metadata.labels[team]") && strings.Contains(told, "Ready=True")
	})
	before, begun := writes.refused(), time.Now()
	for i := range 20 {
		w.looksAfter(xiaomi, func() { reset(fmt.Sprint("policy-", i)) })
	}
	most := int(time.Since(begun)/(thenPause)) + 1
	if got := writes.refused() - before; got > most {
		w.t.Errorf("the target was written %d times, want %d at most", got, most)
	}
	w.clock.shift(longestPause)
	w.wake() // the last reset was held back, and nothing has changed since
	if !w.eventually(repaired) {
		w.t.Errorf("the label is not repaired in its turn:\n%s", describe(w.look(xiaomi)))
	}
	if told := w.events(xiaomi, v1alpha1.TargetRepairedEvent); told != 1 {
		w.t.Errorf("there are %d events TargetRepaired, want 1", told)
	}
	if calls := w.calls(); calls != 1 {
		w.t.Errorf("the provider got %d calls, want 1", calls)
	}
	if w.label(xiaomi+"-token", "theirs") != "kept" {
		w.t.Error("another's label was not left alone")
	}
}

// settles waits until the look has ended in which something was repaired. What it has
// repaired can be seen before it is counted, and time that passes in between counts
// between two repairs.
func (w *world) settles(name string) {
	w.t.Helper()
	w.looksAfter(name, func() { w.nudge(name) }) // looks at one credential follow each other
}

// deleteAgainAndAgain deletes a target that only a call can fill again.
func (w *world) deleteAgainAndAgain() {
	w.t.Helper()
	w.verbosity = 5 // at which each look at a credential is logged
	w.start()
	builtInNamed(w.t, "mcs").create(w)
	w.awaitFresh("mcs")
	filled := func() bool { return w.simulator.AccessTokenValid(string(w.read("mcs-token")["access_token"])) }
	for range rounds {
		w.clock.shift(longestPause)
		w.deleteSecret("mcs-token")
		if !w.eventually(filled) {
			w.t.Fatalf("the target is not filled again:\n%s", describe(w.look("mcs")))
		}
		w.awaitFresh("mcs")
		w.settles("mcs")
	}
	begun := time.Now()
	w.deleteSecret("mcs-token")
	w.await("mcs", "somebody is said to delete it", func(c *v1alpha1.TokenCredential) bool {
		told := describe(c)
		return strings.Contains(told, "something keeps deleting the target Secret") && strings.Contains(told, "Ready=False "+v1alpha1.TargetConflictReason)
	})
	most := int64(1 + rounds + int(time.Since(begun)/(thenPause)))
	if calls := w.calls(); calls > most {
		w.t.Errorf("the provider got %d calls, want %d at most", calls, most)
	}
	w.clock.shift(longestPause)
	w.nudge("mcs")
	if !w.eventually(filled) {
		w.t.Errorf("the target is not filled again:\n%s", describe(w.look("mcs")))
	}
}

// refuseWriteBack has the user's own Secret refuse the refresh token.
func (w *world) refuseWriteBack() {
	w.t.Helper()
	builtInNamed(w.t, xiaomi).create(w, func(spec *v1alpha1.TokenCredentialSpec) { spec.RefreshTokenSecretRef.WriteBack = true })
	w.changeSecret(xiaomi+"-seed", func(s *corev1.Secret) { s.Immutable = ptr.To(true) })
	w.start()
	for n := int64(1); n <= 4; n++ {
		w.awaitRefreshes(xiaomi, n)
		c, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.TargetConflictReason)
		if !strings.Contains(refreshed.Message, `"xiaomi-seed"`) || !strings.Contains(refreshed.Message, "writeBack to false") {
			w.t.Errorf("the message does not say what to do: %s", refreshed.Message)
		}
		next, expires := c.Status.NextRefreshTime, c.Status.ExpirationTime
		if next == nil || !next.Before(expires) || c.Status.FailedAttempts != 0 {
			w.t.Errorf("the next renewal is planned at %v although the token expires at %v:\n%s", next, expires, describe(c))
		}
		w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.TokenValidReason)
		if calls := w.calls(); calls != n {
			w.t.Errorf("the provider got %d calls, want %d", calls, n)
		}
		w.fallDue()
	}
	if told := w.events(xiaomi, v1alpha1.RefreshFailedEvent); told != 1 {
		w.t.Errorf("there are %d events RefreshFailed, want 1", told)
	}
	w.kept(simulator.DemoXiaomiGrant, 0)
}

// undoWriteBack has a tool put the old seed back over what is written back.
func (w *world) undoWriteBack() {
	w.t.Helper()
	writes := &apiRefusals{}
	w.verbosity = 5 // at which each look at a credential is logged
	w.wire = writes.count(writesTo(xiaomi + "-seed"))
	w.start()
	w.fresh(func(spec *v1alpha1.TokenCredentialSpec) { spec.RefreshTokenSecretRef.WriteBack = true })
	writtenBack := func() bool { return string(w.read(xiaomi + "-seed")["refresh_token"]) == w.grant().Current }
	undo := func() { w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken}) }
	for range rounds {
		if !w.eventually(writtenBack) {
			w.t.Fatalf("the refresh token is not written back:\n%s", describe(w.look(xiaomi)))
		}
		w.settles(xiaomi)
		w.clock.shift(longestPause)
		undo()
	}
	if !w.eventually(writtenBack) {
		w.t.Fatalf("the refresh token is not written back:\n%s", describe(w.look(xiaomi)))
	}
	w.settles(xiaomi)
	before, begun := writes.refused(), time.Now()
	undo()
	w.await(xiaomi, "somebody is said to change it", func(c *v1alpha1.TokenCredential) bool {
		return strings.Contains(describe(c), `something else keeps changing the Secret "xiaomi-seed"`)
	})
	for i := range 10 {
		w.looksAfter(xiaomi, func() {
			w.secret(xiaomi+"-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken, "note": fmt.Sprint(i)})
		})
	}
	if got, most := writes.refused()-before, int(time.Since(begun)/(thenPause))+1; got > most {
		w.t.Errorf("the refresh token was written back %d times, want %d at most", got, most)
	}
	if calls := w.calls(); calls != 1 {
		w.t.Errorf("the provider got %d calls, want 1", calls)
	}
	if told := w.events(xiaomi, v1alpha1.SpentSeedIgnoredEvent); told > 1 {
		w.t.Errorf("there are %d events SpentSeedIgnored, want 1 at most", told)
	}
	w.kept(simulator.DemoXiaomiGrant, 0)
}

// count counts the requests that is matches, and lets them through.
func (r *apiRefusals) count(is func(*http.Request) bool) func(http.RoundTripper) http.RoundTripper {
	return func(direct http.RoundTripper) http.RoundTripper {
		return roundTrip(func(request *http.Request) (*http.Response, error) {
			response, err := direct.RoundTrip(request)
			if err == nil && response.StatusCode < http.StatusBadRequest && is(request) { // a conflict has written nothing
				r.mu.Lock()
				r.matched++
				r.mu.Unlock()
			}
			return response, err
		})
	}
}
