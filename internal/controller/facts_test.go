// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/decision"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/memory"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// TestLookAsksForNothingUnlessSomethingChanged changes one thing about a fresh
// credential, as the caches show it.
func TestLookAsksForNothingUnlessSomethingChanged(t *testing.T) {
	t.Parallel()
	edits := func(secret string) func(*scene) {
		return func(s *scene) { s.edit(secret, func(stored *corev1.Secret) { stored.Data["note"] = []byte("x") }) }
	}
	status := func(change func(*v1alpha1.TokenCredentialStatus)) func(*scene) {
		return func(s *scene) {
			credential := s.get("shop")
			change(&credential.Status)
			if err := s.cluster.Status().Update(s.Context(), credential); err != nil {
				s.Fatal(err)
			}
		}
	}
	for _, each := range []struct {
		name, reason string
		change       func(s *scene)
		want         decision.Decision
	}{
		{"nothing", "the token is fresh", func(*scene) {}, decision.Rest},
		{"time", "its renewal is due", func(s *scene) { s.after(50 * time.Minute) }, decision.Call},
		{"the spec", "another generation", func(s *scene) { s.respec(func(c *v1alpha1.TokenCredential) { c.Generation++ }) }, decision.Look},
		{"a refresh is asked for", "it is wanted now", func(s *scene) {
			s.respec(func(c *v1alpha1.TokenCredential) {
				c.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
			})
		}, decision.Call},
		{"suspended", "no call is made", func(s *scene) { s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true }) }, decision.Suspended},
		{"an input", "another version", edits("app"), decision.Look},
		{"the target", "another version", edits("shop"), decision.Look},
		{"the state", "another version", edits("shop-token-state"), decision.Look},
		{"the target is gone", "none is there", func(s *scene) { s.edit("shop", nil) }, decision.Look},
		{"the status could not be written whole", "the API server refused something", status(func(known *v1alpha1.TokenCredentialStatus) { known.ObservedInputs = "" }), decision.Look},
		{"the status is from the future", "a clock was wrong", status(func(known *v1alpha1.TokenCredentialStatus) {
			known.LastRefreshTime = &metav1.Time{Time: noon.Add(24 * time.Hour)}
		}), decision.Look},
		{"a stall that the conditions do not tell", "somebody has edited the status: nothing would be tried, and nobody told", status(func(known *v1alpha1.TokenCredentialStatus) {
			known.LastAttempt.Reason = v1alpha1.ReauthorizationRequiredReason
		}), decision.Look},
		{"the target was seen without the token", "once that is over, everything looks as it was left", status(func(known *v1alpha1.TokenCredentialStatus) {
			known.Target.ResourceVersion = ""
		}), decision.Look},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.reconcile("shop")
			each.change(s)
			s.asked = map[string]int{}
			if got, _ := s.look(t.Context(), s.get("shop"), s.clock.Now()); got != each.want || len(s.asked) > 0 {
				t.Errorf("look decides %s, want %s, and asks for %v\nreason: %s", got, each.want, s.asked, each.reason)
			}
		})
	}
}

// TestATargetThatIsNotThereMayNotBeShownYet: it is missing in the cache, where nothing else has
// changed.
func TestATargetThatIsNotThereMayNotBeShownYet(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		shown        func() string
		reported     bool
		want         decision.Decision
	}{
		{"the cache has not come so far", "it was written just now", func() string { return "1" }, false, decision.Rest},
		{"the cache has come to its version", "it has been deleted since", func() string { return "2" }, false, decision.Look},
		{"the cache has come further", "it has been deleted", func() string { return "10" }, false, decision.Look},
		{"nobody knows how far the cache is", "it may have been deleted", nil, false, decision.Look},
		{"the cache cannot say how far it is", "it may have been deleted", func() string { return "" }, false, decision.Look},
		{"the status was read, and is not this process's own", "it may be of another cluster, whose versions say nothing", func() string { return "1" }, true, decision.Look},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, reusable)
			s.reconcile("shop")
			s.after(50 * time.Minute)
			request := ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "shop"}}
			if _, err := s.Reconcile(t.Context(), request); err != nil { // its status is to be written
				t.Fatal(err)
			}
			credential := s.Reports.Current(s.get("shop"))
			if version := credential.Status.Target.ResourceVersion; version != "2" {
				t.Fatalf("the target is at version %s", version)
			}
			if each.reported {
				s.Reports.Forget(request.NamespacedName)
			}
			s.edit("shop", nil)
			s.Inputs.Secrets.Shown = each.shown
			if got, _ := s.look(t.Context(), credential, s.clock.Now()); got != each.want {
				t.Errorf("look decides %s, want %s: %s", got, each.want, each.reason)
			}
		})
	}
}

// TestWhatAnEarlierProcessLeftIsLookedForWhereNoCallIsMade starts a process beside a reply that
// the one before could not save: before a call the state is read, which leads to that.
func TestWhatAnEarlierProcessLeftIsLookedForWhereNoCallIsMade(t *testing.T) {
	t.Parallel()
	failed := func(s *scene, reason string) {
		credential := s.get("shop")
		credential.Status.LastAttempt.Reason = reason
		if problem.Stalls(reason) {
			meta.SetStatusCondition(&credential.Status.Conditions, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: reason})
		}
		credential.Status.NextRefreshTime = &metav1.Time{Time: noon.Add(time.Minute)}
		if err := s.cluster.Status().Update(s.Context(), credential); err != nil {
			s.Fatal(err)
		}
	}
	for _, each := range []struct {
		name, reason string
		change       func(s *scene)
		want         decision.Decision
	}{
		{"a fresh token", "its renewal reads the state, and it need not be read for each at every start", func(*scene) {}, decision.Rest},
		{"suspended", "nothing else would read it while the pod is there", func(s *scene) { s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true }) }, decision.Look},
		{"backing off", "the pod may be gone before the backoff is over", func(s *scene) { failed(s, v1alpha1.PersistBlockedReason) }, decision.Look},
		{"stalled", "nothing else would read it, and it may be the cure", func(s *scene) {
			failed(s, v1alpha1.ReauthorizationRequiredReason)
		}, decision.Look},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.reconcile("shop")
			each.change(s)
			directory := t.TempDir()
			before, err := spool.Open(directory)
			if err != nil {
				t.Fatal(err)
			}
			if err := before.Put("team", "attempt", secret.New("sent"), token.Grant{RefreshToken: secret.New("successor")}); err != nil {
				t.Fatal(err)
			}
			if s.Refresher.Saver.Spool, err = spool.Open(directory); err != nil {
				t.Fatal(err)
			}
			s.Refresher.Saver.Attempts = memory.Attempts{} // another process
			if got, _ := s.look(t.Context(), s.get("shop"), s.clock.Now()); got != each.want {
				t.Errorf("look decides %s, want %s\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

// TestATimeThatHasPassedKeepsNobodyBusy names, in the status, a time for a refresh that
// nothing makes then.
func TestATimeThatHasPassedKeepsNobodyBusy(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(s *scene, credential *v1alpha1.TokenCredential)
		want         time.Duration
	}{
		{"of a token that is fresh", "its renewal is where the spec puts it, whoever has edited the status", func(*scene, *v1alpha1.TokenCredential) {}, 44 * time.Minute}, // three quarters of an hour, less its share of the spread
		{"of one that a person must act for", "its expiry is to be told", func(_ *scene, credential *v1alpha1.TokenCredential) {
			credential.Status.LastAttempt.Reason = v1alpha1.RestoredFromBackupReason
			meta.SetStatusCondition(&credential.Status.Conditions, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.RestoredFromBackupReason})
		}, time.Hour},
		{"of one that has expired, too", "there is nothing to come for", func(s *scene, credential *v1alpha1.TokenCredential) {
			credential.Status.LastAttempt.Reason = v1alpha1.RestoredFromBackupReason
			meta.SetStatusCondition(&credential.Status.Conditions, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.RestoredFromBackupReason})
			s.after(2 * time.Hour)
		}, 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.reconcile("shop")
			credential := s.get("shop")
			credential.Status.NextRefreshTime = &metav1.Time{Time: noon.Add(-time.Hour)}
			each.change(s, credential)
			if err := s.cluster.Status().Update(t.Context(), credential); err != nil {
				t.Fatal(err)
			}
			if got := s.reconcile("shop").RequeueAfter; got.Truncate(time.Minute) != each.want {
				t.Errorf("it comes again after %s, want %s\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

// TestFactsAreThoseOfWhatWasRead changes one thing about a credential of which all is
// well, and compares the one fact that changes with it.
func TestFactsAreThoseOfWhatWasRead(t *testing.T) {
	t.Parallel()
	valid := token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	older := token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon}
	newer := token.Validity{IssuedAt: noon.Add(time.Minute), ExpiresAt: noon.Add(61 * time.Minute)}
	type given struct {
		s      *scene
		job    refresh.Job
		view   target.View
		around surroundings
	}
	for _, each := range []struct {
		name, reason, described string
		change                  func(g *given)
		want                    func(f *decision.Facts)
	}{
		{"suspended", "the user says so", singleUse, func(g *given) { g.job.Credential.Spec.Suspend = true }, func(f *decision.Facts) { f.Suspended = true }},
		{"a new seed", "it is to be adopted", singleUse, func(g *given) { g.job.Found.Seed = rotation.SeedNew }, func(f *decision.Facts) { f.SeedIsNew = true }},
		{"a refresh is asked for", "nothing has answered it", singleUse, func(g *given) {
			g.job.Credential.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
		}, func(f *decision.Facts) { f.Requested = true }},
		{"a refresh was asked for, and the target answers it", "the process died before the status said so", singleUse, func(g *given) {
			g.job.Credential.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
			g.view.Mark.Requested = delivery.RequestDigest(g.job.Credential)
		}, func(*decision.Facts) {}},
		{"a copied state", "its token may be spent", singleUse, func(g *given) { g.job.Found.Record.Copied = true }, func(f *decision.Facts) { f.Restored = true }},
		{"a copied state that protects nothing", "its token works again", reusable, func(g *given) { g.job.Found.Record.Copied = true }, func(*decision.Facts) {}},
		{"an attempt of unknown outcome", "a person must say how to go on", singleUse, func(g *given) { g.job.Found.Recovery = recovery.Unknown }, func(f *decision.Facts) { f.Recovery = recovery.Unknown }},
		{"a lost token", "the ledger has it", singleUse, func(g *given) {
			g.job.Found.Record.State.Spent = g.job.Found.Record.State.Spent.Add(g.job.Found.Record.State.RefreshToken.Digest())
		}, func(f *decision.Facts) { f.Lost = true }},
		{"another source", "the provider or its parameters have changed", singleUse, func(g *given) { g.job.Found.Record.State.Source = "other" }, func(f *decision.Facts) { f.SourceChanged = true }},
		{"another source, where the target alone knows", "by its mark", reusable, func(g *given) { g.view.Mark.Source = "other" }, func(f *decision.Facts) { f.SourceChanged = true }},
		{"the state has an older token than the target", "the state decides", singleUse, func(g *given) { g.job.Found.Record.State.Token.Validity = older }, func(f *decision.Facts) { f.Token = older }},
		{"the target is gone, and the state has the token", "it is written again without a call", singleUse, func(g *given) { g.view = target.View{} }, func(*decision.Facts) {}},
		{"the target is gone, and nothing else has the token", "it is asked for again", reusable, func(g *given) { g.view = target.View{} }, func(f *decision.Facts) {
			f.TargetNeeds, f.Token = true, token.Validity{}
		}},
		{"the target is behind a reply that an earlier process saved", "it is published without a call", reusable, func(g *given) {
			g.job.Found.Record.State.Token.Validity = newer
		}, func(f *decision.Facts) { f.Token = newer }},
		{"the target is gone once more", "its repair waits: it is no first token", reusable, func(g *given) {
			g.view, g.around.mayRefill = target.View{}, false
		}, func(*decision.Facts) {}},
		{"the target was changed", "what it holds is not the token", reusable, func(g *given) { g.view.Holds, g.view.Rendered = false, false }, func(f *decision.Facts) { f.TargetNeeds = true }},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			g := given{s: newScene(t, each.described)}
			credential := g.s.get("shop")
			in, err := g.s.Inputs.Gather(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			credential.Status = v1alpha1.TokenCredentialStatus{
				ObservedGeneration: 1, ObservedInputs: in.Digest, Target: &v1alpha1.TargetStatus{Name: "shop", ResourceVersion: "1"},
				LastRefreshTime: &metav1.Time{Time: valid.IssuedAt}, ExpirationTime: &metav1.Time{Time: valid.ExpiresAt},
			}
			record := g.s.Refresher.Saver.States.None(credential)
			record.State = record.State.Adopt(in.Seed)
			record.State.Source, record.State.Token = in.Source, token.Token{AccessToken: secret.New("access"), Validity: valid}
			g.job = refresh.Job{Credential: credential, Inputs: in, Found: refresh.Found{Record: record, Recovery: recovery.Nothing}}
			g.view = target.View{Exists: true, ResourceVersion: "1", Holds: true, Rendered: true, Dressed: true, Mark: target.Mark{Validity: valid, Source: in.Source}}
			g.around = surroundings{now: noon, mayRefill: true}
			want := factsOf(g.job, delivery.Goal{View: g.view}, g.around)
			if !want.Live || !want.Now.Equal(noon) || want.Token != valid || want.Due.IsZero() {
				t.Fatalf("the facts of a credential of which all is well are %+v", want)
			}
			each.change(&g)
			each.want(&want)
			want.Due = startOf(g.job.Credential, want.Token, limits{0, grantEnd(g.job.Credential, &g.job)}, noon)
			if diff := cmp.Diff(want, factsOf(g.job, delivery.Goal{View: g.view}, g.around)); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
		})
	}
}

// TestABackoffDoesNotHoldWhoWasWoken gives a failing credential a slot at its host.
func TestABackoffDoesNotHoldWhoWasWoken(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.answer = "unavailable"
	s.reconcile("shop")
	key := types.NamespacedName{Namespace: "team", Name: "shop"}
	if result := s.reconcile("shop"); s.calls != 1 || result.RequeueAfter == 0 {
		t.Fatalf("there were %d calls, and it comes again in %s", s.calls, result.RequeueAfter)
	}
	for range 2 {
		s.Hosts.Enter("shop.example", call.Waiter(s.get("shop"), noon), noon)
	}
	s.Hosts.Leave("shop.example", call.Waiter(s.get("shop"), noon), "Served", false, noon)
	if !s.Hosts.Admitted(key) {
		t.Fatal("it waits for a slot, and there is one")
	}
	if s.reconcile("shop"); s.calls != 2 {
		t.Errorf("there were %d calls: who is woken for a slot does not wait for the backoff", s.calls)
	}
}
