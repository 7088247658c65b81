// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "shop", errors.New("a quota"))
}

// TestARefreshCostsFewRequests counts what the API server is asked before the status.
func TestARefreshCostsFewRequests(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, described string
		writes, reads   int
	}{
		{"Reusable", reusable, 1, 1},
		{"SingleUse", singleUse, 3, 1},
		{"Auto, of a provider that leaves the refresh token as it is", auto, 1, 1},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, each.described)
			s.reconcile("shop")
			if got := s.shows(v1alpha1.ReadyCondition); !strings.HasPrefix(got, "True TokenValid") || s.token("shop") != "access-1" {
				t.Fatalf("Ready is %q, and the target holds %q", got, s.token("shop"))
			}
			if result := s.reconcile("shop"); len(s.asked) > 0 || s.calls != 1 || result.RequeueAfter < 30*time.Minute {
				t.Errorf("a fresh credential asks for %v, in %s again, after %d calls", s.asked, result.RequeueAfter, s.calls)
			}
			s.after(50 * time.Minute)
			s.reconcile("shop")
			if s.calls != 2 || s.token("shop") != "access-2" {
				t.Errorf("after its renewal was due, there were %d calls, and the target holds %q", s.calls, s.token("shop"))
			}
			if writes := s.requests("create", "update", "patch"); writes > each.writes || s.requests("get", "list", "dryrun") > each.reads {
				t.Errorf("a renewal asks for %v, want %d writes and %d reads at most", s.asked, each.writes, each.reads)
			}
		})
	}
}

// TestACredentialParksAtAFullHost takes the slots of its provider's host.
func TestACredentialParksAtAFullHost(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.reconcile("shop")
	s.after(50 * time.Minute)
	for i := range 2 {
		who := types.NamespacedName{Namespace: fmt.Sprint("other-", i), Name: "one"}
		if got := s.Hosts.Enter("shop.example", pace.Waiter{Who: who, Class: pace.New}, s.clock.Now()); got != pace.Go {
			t.Fatal(got)
		}
	}
	result := s.reconcile("shop")
	if len(s.asked) > 0 || s.calls != 1 || result.RequeueAfter > call.SlotPause {
		t.Errorf("it asks for %v, in %s again: nothing is read for a call that must wait", s.asked, result.RequeueAfter)
	}
}

// TestAStepThatFailsLeavesTheLaterOnes has the API server refuse one request.
func TestAStepThatFailsLeavesTheLaterOnes(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, verb, secret string
		calls              int
		holds              string // the target, in the end
	}{
		{"the state cannot be read", "get", "shop-token-state", 1, "access-1"},
		{"an input cannot be read", "get", "app", 1, "access-1"},
		{"the claim is refused", "update", "shop-token-state", 1, "access-1"},
		{"the dry run of the target is refused", "dryrun", "shop", 1, "access-1"},
		{"the target cannot be written", "update", "shop", 2, "access-1"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.reconcile("shop")
			s.edit("app", func(app *corev1.Secret) { app.Data["app_secret"] = []byte("other") })
			s.respec(func(c *v1alpha1.TokenCredential) { // the API server is asked again whether it takes the target
				c.Generation, c.Spec.Target.Template.Metadata.Labels = 2, map[string]string{"app": "other"}
			})
			s.after(50 * time.Minute)
			s.refuse = func(verb, name string) error {
				if verb == each.verb && name == each.secret {
					return forbidden()
				}
				return nil
			}
			result := s.reconcile("shop")
			if s.calls != each.calls || s.token("shop") != each.holds {
				t.Errorf("there were %d calls, want %d, and the target holds %q: %v", s.calls, each.calls, s.token("shop"), s.asked)
			}
			if got := s.shows(v1alpha1.RefreshedCondition); !strings.HasPrefix(got, "False PersistBlocked") || !strings.Contains(got, each.secret) {
				t.Errorf("Refreshed is %q: it is to say that the API server refuses, and of what", got)
			}
			if got := s.shows(v1alpha1.ReadyCondition); !strings.HasPrefix(got, "True TokenValid") {
				t.Errorf("Ready is %q: the token of before is good", got)
			}
			if result.RequeueAfter == 0 || result.RequeueAfter > time.Second {
				t.Errorf("it is tried again in %s", result.RequeueAfter)
			}
			s.refuse = nil
			s.after(time.Minute)
			s.reconcile("shop")
			if s.token("shop") != "access-2" {
				t.Errorf("once it is allowed the target holds %q after %d calls", s.token("shop"), s.calls)
			}
		})
	}
}

// TestATargetIsRepairedAtAPace has somebody else change the target.
func TestATargetIsRepairedAtAPace(t *testing.T) {
	t.Parallel()
	deletes := func(s *scene) { s.edit("shop", nil) }
	undresses := func(s *scene) { s.edit("shop", func(target *corev1.Secret) { delete(target.Labels, "app") }) }
	for _, each := range []struct {
		name, described string
		change          func(s *scene)
		calls           []int // after each of two changes, and a pause
	}{
		{"deleted, and the state holds the token", singleUse, deletes, []int{1, 1, 1}},
		{"deleted, and another call alone brings one", reusable, deletes, []int{2, 2, 3}},
		{"undressed, and the state holds the token", singleUse, undresses, []int{1, 1, 1}},
		{"undressed, and nothing but the target holds the token", reusable, undresses, []int{1, 1, 1}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, each.described)
			s.reconcile("shop")
			isWhole := func() bool {
				secret := &corev1.Secret{}
				err := s.cluster.Get(t.Context(), types.NamespacedName{Namespace: "team", Name: "shop"}, secret)
				return err == nil && secret.Labels["app"] == "shop" && len(secret.Data["access_token"]) > 0
			}
			for i, want := range []bool{true, false, true} { // at once, held back, after the pause
				if i < 2 {
					each.change(s)
				} else {
					s.after(time.Second)
				}
				result := s.reconcile("shop")
				if isWhole() != want || s.calls != each.calls[i] {
					t.Errorf("step %d: the target is whole: %t, want %t, after %d calls, want %d: %v", i, isWhole(), want, s.calls, each.calls[i], s.asked)
				}
				if !want && (result.RequeueAfter == 0 || result.RequeueAfter > time.Second) {
					t.Errorf("step %d: it comes again in %s, want a second", i, result.RequeueAfter)
				}
			}
			for range 3 {
				each.change(s)
				s.after(20 * time.Second)
				s.reconcile("shop")
			}
			each.change(s)
			s.reconcile("shop")
			if got := s.shows(v1alpha1.ReadyCondition); !strings.Contains(got, `the target Secret "shop"`) || !strings.Contains(got, "keeps") {
				t.Errorf("Ready is %q: another writer is at it, which is to be said", got)
			}
			s.after(50 * time.Minute)
			s.reconcile("shop")
			if !isWhole() {
				t.Error("a new token is never held back")
			}
		})
	}
}

// TestAnEditGetsAheadOfABackoffAtAPace edits a Secret again and again.
func TestAnEditGetsAheadOfABackoffAtAPace(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"unavailable", "invalid_grant"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.answer = answer
			s.reconcile("shop")
			edit := func(i int) {
				s.edit("app", func(app *corev1.Secret) { app.Data["app_secret"] = fmt.Append(nil, i) })
			}
			for i := range 6 {
				edit(i)
				result := s.reconcile("shop")
				if want := min(2+i, 4); s.calls != want {
					t.Errorf("after edit %d there were %d calls, want %d: a few are for a person who corrects an error", i+1, s.calls, want)
				}
				if i == 5 && (result.RequeueAfter == 0 || result.RequeueAfter > 10*time.Second) {
					t.Errorf("it comes again in %s, want in 10 s at most: the last edit is not lost", result.RequeueAfter)
				}
			}
			s.answer = ""
			s.after(10 * time.Second)
			s.reconcile("shop")
			if got := s.shows(v1alpha1.ReadyCondition); !strings.HasPrefix(got, "True") {
				t.Errorf("Ready is %q: the edit has its attempt in the end", got)
			}
		})
	}
}

// TestARefreshThatIsAskedForComesAtAPaceAndIsNeverForgotten asks again and again.
func TestARefreshThatIsAskedForComesAtAPaceAndIsNeverForgotten(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a request for a refresh, again and again")
	for _, described := range []string{singleUse, reusable} {
		s := newScene(t, described)
		s.reconcile("shop")
		ask := func(value string) ctrl.Result {
			s.respec(func(c *v1alpha1.TokenCredential) {
				c.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: value}
			})
			return s.reconcile("shop")
		}
		for i := range 6 {
			s.after(100 * time.Millisecond)
			result := ask(fmt.Sprint("value ", i))
			if want := min(2+i, 4); s.calls != want {
				t.Errorf("after request %d there were %d calls, want %d: a script that asks all the time gets no more than a person needs", i+1, s.calls, want)
			}
			if i >= 3 && (result.RequeueAfter == 0 || result.RequeueAfter > 10*time.Second) {
				t.Errorf("it comes again in %s, want in 10 s at most", result.RequeueAfter)
			}
		}
		if got := s.get("shop").Status.LastHandledRefreshAt; got != "value 2" {
			t.Errorf("%q is echoed: a request that has had no call is not handled", got)
		}
		if got := s.shows(v1alpha1.ReadyCondition); !strings.HasPrefix(got, "True TokenValid") {
			t.Errorf("Ready is %q: a request that waits takes nothing from the token", got)
		}
		s.after(10 * time.Second)
		s.reconcile("shop")
		if got := s.get("shop").Status.LastHandledRefreshAt; s.calls != 5 || got != "value 5" {
			t.Errorf("after the pause there were %d calls, want 5, and %q is echoed: the last request is not forgotten", s.calls, got)
		}
		s.after(50 * time.Minute)
		ask("when it is due")
		if result := ask("and again"); s.calls != 7 || result.RequeueAfter == 0 {
			t.Errorf("there were %d calls, want 7: a renewal that is due is not held back, and much later a request is not either", s.calls)
		}
	}
}

func TestACallThatWasAllowedIsAllowedUntilItIsMade(t *testing.T) {
	t.Parallel()
	paced, key := &ahead{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	for range 10 {
		if wait := paced.wait(key, noon, paced.edits.Take); wait != 0 {
			t.Fatalf("it waits for %s: a call that finds no slot, and comes back, is still the same", wait)
		}
	}
	for range 2 {
		if paced.forget(key); paced.wait(key, noon, paced.edits.Take) != 0 {
			t.Fatal("three calls are allowed at once")
		}
	}
	if paced.forget(key); paced.wait(key, noon, paced.edits.Take) == 0 {
		t.Error("a fourth call in a row is to wait")
	}
}

// TestARefilledTargetIsTold deletes a target whose token only another call brings back.
func TestARefilledTargetIsTold(t *testing.T) {
	t.Parallel()
	s := newScene(t, reusable)
	s.reconcile("shop")
	repairs := func() int {
		return len(slices.DeleteFunc(slices.Clone(s.events), func(event string) bool { return event != v1alpha1.TargetRepairedEvent }))
	}
	s.answer = "unavailable"
	s.edit("shop", nil)
	if s.reconcile("shop"); repairs() != 0 {
		t.Errorf("the events are %v: nothing has been repaired yet", s.events)
	}
	s.answer = ""
	s.after(time.Minute)
	if s.reconcile("shop"); repairs() != 1 || s.token("shop") == "" {
		t.Errorf("the events are %v: the target was written again", s.events)
	}
	for range 3 {
		s.edit("shop", nil)
		s.after(20 * time.Second)
		s.reconcile("shop")
	}
	if repairs() != 1 || s.token("shop") == "" {
		t.Errorf("the events are %v: a series is told once", s.events)
	}
}

// TestADryRunIsSharedInANamespace brings three credentials with one template.
func TestADryRunIsSharedInANamespace(t *testing.T) {
	t.Parallel()
	s := newScene(t, reusable)
	s.add("second")
	s.add("third")
	total := 0
	for _, name := range []string{"shop", "second", "third"} {
		s.reconcile(name)
		total += s.requests("dryrun")
	}
	if total != 1 || s.calls != 3 {
		t.Errorf("there were %d dry runs, want 1, and %d calls", total, s.calls)
	}
	s.after(30 * time.Second)
	s.add("fourth")
	if s.reconcile("fourth"); s.requests("dryrun") != 1 {
		t.Error("a dry run does not hold for ever")
	}
}

// TestADryRunThatIsRefusedIsMadeAgain refuses the first.
func TestADryRunThatIsRefusedIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, reusable)
	s.refuse = func(verb, _ string) error {
		if verb == "dryrun" {
			return forbidden()
		}
		return nil
	}
	for i := range 2 {
		s.reconcile("shop")
		if s.requests("dryrun") != 1 || s.calls != 0 {
			t.Errorf("reconcile %d makes %d dry runs, and there were %d calls", i+1, s.requests("dryrun"), s.calls)
		}
	}
	s.refuse = nil
	if s.reconcile("shop"); s.calls != 1 || s.token("shop") != "access-1" {
		t.Errorf("once it is taken, there were %d calls, and the target holds %q", s.calls, s.token("shop"))
	}
}

// TestWhatIsMissingIsSaidBesideAHold loses the app's Secret while the outcome is unknown.
func TestWhatIsMissingIsSaidBesideAHold(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.answer = "none"
	s.reconcile("shop")
	s.edit("app", nil)
	s.reconcile("shop")
	got := s.shows(v1alpha1.StalledCondition)
	if !strings.HasPrefix(got, "True OutcomeUnknown") {
		t.Errorf("Stalled is %q", got)
	}
	if refreshed := s.shows(v1alpha1.RefreshedCondition); !strings.Contains(refreshed, `"app"`) || !strings.Contains(refreshed, "onUnknownOutcome") {
		t.Errorf("Refreshed is %q: neither problem is to hide the other", refreshed)
	}
	s.respec(func(c *v1alpha1.TokenCredential) {
		c.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
	})
	if s.reconcile("shop"); s.calls != 1 || !strings.Contains(s.shows(v1alpha1.StalledCondition), v1alpha1.RefreshAtAnnotation) {
		t.Errorf("a refresh that is asked for makes %d calls, and is answered by %q", s.calls, s.shows(v1alpha1.StalledCondition))
	}
}

// TestAPauseLosesNoEvent pauses a refresh behind the adoption of its seed.
func TestAPauseLosesNoEvent(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.OnUnknownOutcome = v1alpha1.RetryOnce })
	s.answer = "none"
	s.reconcile("shop")
	if !slices.Contains(s.events, v1alpha1.SeedAdoptedEvent) {
		t.Errorf("the events are %v: the seed is adopted once, and so said", s.events)
	}
	if got := s.get("shop").Status; got.LastAttempt != nil || got.FailedAttempts != 0 {
		t.Errorf("the status says that %v has come of it: it goes on", got.LastAttempt)
	}
	s.answer = ""
	s.reconcile("shop")
	if s.calls != 2 || s.token("shop") != "access-2" {
		t.Errorf("there were %d calls, and the target holds %q", s.calls, s.token("shop"))
	}
	if adopted := slices.DeleteFunc(slices.Clone(s.events), func(event string) bool { return event != v1alpha1.SeedAdoptedEvent }); len(adopted) != 1 {
		t.Errorf("the events are %v", s.events)
	}
}
