// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2100, 1, 1, 12, 0, 0, 0, time.UTC)

// scene is a credential whose first token is in its target, and a fake API server.
type scene struct {
	*testing.T
	*Deliverer
	server     client.WithWatch
	clock      *clocktesting.FakePassiveClock
	credential *v1alpha1.TokenCredential
	refused    bool // whatever is written
	admission  func(*corev1.Secret)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, server: fake.NewClientBuilder().WithReturnManagedFields().Build(), clock: clocktesting.NewFakePassiveClock(noon)}
	refuse := func(secret client.Object) error {
		if s.refused {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "shop", errors.New("a quota"))
		}
		if s.admission != nil {
			s.admission(secret.(*corev1.Secret))
		}
		return nil
	}
	api := interceptor.NewClient(s.server, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, secret client.Object, options ...client.CreateOption) error {
			if err := refuse(secret); err != nil {
				return err
			}
			return c.Create(ctx, secret, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, secret client.Object, options ...client.UpdateOption) error {
			if err := refuse(secret); err != nil {
				return err
			}
			return c.Update(ctx, secret, options...)
		},
	})
	s.Deliverer = New(Parts{
		Targets: &target.Publisher{Client: api, Key: digest.Random()},
		Seeds:   api,
		Secrets: &inputs.Secrets{Metadata: s.server},
		Rivals:  func(context.Context, *v1alpha1.TokenCredential) []target.Rival { return nil },
		Clock:   s.clock,
	})
	s.credential = &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: "one", Generation: 1}}
	s.credential.Spec.Target.Template = &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{"app": "shop"}}}
	s.credential.Status.ObservedGeneration = 1
	first := s.deliver(tokenOf("first", noon), true)
	if first.Publication != nil || first.Repaired {
		t.Fatalf("the first token is delivered with %+v", first)
	}
	s.credential.Status.Target = &v1alpha1.TargetStatus{Name: "shop", ResourceVersion: first.Target.ResourceVersion}
	s.credential.Status.LastRefreshTime, s.credential.Status.ExpirationTime = &metav1.Time{Time: noon}, &metav1.Time{Time: noon.Add(time.Hour)}
	return s
}

func tokenOf(text string, issued time.Time) token.Token {
	return token.Token{AccessToken: secret.New(text), Type: "Bearer", Validity: token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)}}
}

// deliver a token; zero: none is at hand.
func (s *scene) deliver(current token.Token, isNew bool) Delivery {
	s.Helper()
	in := &inputs.Inputs{Source: "source", Provider: inputs.Provider{Provider: &provider.Provider{}}}
	goal, err := s.Preflight(s.Context(), s.credential, in)
	if err != nil {
		s.Fatal(err)
	}
	return s.Deliver(s.Context(), Job{Credential: s.credential, Inputs: in, Goal: goal, Record: &store.Record{}, Token: current, IsNew: isNew})
}

// stored is the target; nil: there is none.
func (s *scene) stored() *corev1.Secret {
	stored := &corev1.Secret{}
	if s.server.Get(s.Context(), client.ObjectKeyFromObject(s.credential), stored) != nil {
		return nil
	}
	return stored
}

func (s *scene) remove() {
	s.Helper()
	if err := s.server.Delete(s.Context(), s.stored()); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) edit(change func(*corev1.Secret)) {
	s.Helper()
	stored := s.stored()
	change(stored)
	if err := s.server.Update(s.Context(), stored); err != nil {
		s.Fatal(err)
	}
}

// TestARepairIsToldOnceInASeries changes the target, and delivers.
func TestARepairIsToldOnceInASeries(t *testing.T) {
	t.Parallel()
	deletes := func(s *scene) { s.remove() }
	undresses := func(s *scene) { s.edit(func(target *corev1.Secret) { delete(target.Labels, "app") }) }
	first, second := tokenOf("first", noon), tokenOf("second", noon.Add(time.Minute))
	for _, each := range []struct {
		name, reason string
		change       func(s *scene)
		token        token.Token
		isNew, want  bool
	}{
		{"deleted, and the state has the token", "it is written again", deletes, first, false, true},
		{"deleted, and another call has brought a token", "the user's Secret was gone, whatever mends it", deletes, second, true, true},
		{"undressed", "its labels are restored", undresses, token.Token{}, false, true},
		{"undressed as a new token comes", "its labels are restored", undresses, second, true, true},
		{"deleted, and there is no token", "nothing has been repaired yet", deletes, token.Token{}, false, false},
		{"a renewal", "nobody has changed anything", func(*scene) {}, second, true, false},
		{"nothing", "there is nothing to write", func(*scene) {}, first, false, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			each.change(s)
			if done := s.deliver(each.token, each.isNew); done.Repaired != each.want || done.Publication != nil {
				t.Errorf("told: %t, want %t, with %v\nreason: %s", done.Repaired, each.want, done.Publication, each.reason)
			}
			if !each.want {
				return
			}
			each.change(s)
			s.clock.SetTime(noon.Add(2 * time.Second))
			if again := s.deliver(each.token, each.isNew); again.Repaired || again.Publication != nil {
				t.Errorf("a second repair is told: %t, with %v: a series is told once", again.Repaired, again.Publication)
			}
		})
	}
}

// TestWhatWasWrittenIsTold looks whether a token was written, for whom that matters.
func TestWhatWasWrittenIsTold(t *testing.T) {
	t.Parallel()
	first, second := tokenOf("first", noon), tokenOf("second", noon.Add(time.Minute))
	for _, each := range []struct {
		name, reason string
		change       func(s *scene)
		token        token.Token
		isNew, want  bool
	}{
		{"a new token", "it is in the target now", func(*scene) {}, second, true, true},
		{"a repair", "the target had lost it", func(s *scene) { s.remove() }, first, false, true},
		{"labels alone", "the token is as it was", func(s *scene) { s.edit(func(target *corev1.Secret) { delete(target.Labels, "app") }) }, token.Token{}, false, false},
		{"nothing", "there is nothing to write", func(*scene) {}, first, false, false},
		{"another token of the same second", "another leader wrote the one that is there", func(*scene) {}, tokenOf("second", noon), false, true},
		{"a token whose mark was made under a key that is lost", "nothing tells that it is another one", func(s *scene) { s.Targets.Key = digest.Random() }, first, false, false},
		{"a refusal", "it is not in the target", func(s *scene) { s.refused = true }, second, true, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			each.change(s)
			if done := s.deliver(each.token, each.isNew); done.Written != each.want {
				t.Errorf("written: %t, want %t\nreason: %s", done.Written, each.want, each.reason)
			}
		})
	}
}

// TestARepairThatIsRefusedIsToldWhenItIsMade has the API server refuse the first write.
func TestARepairThatIsRefusedIsToldWhenItIsMade(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.remove()
	s.refused = true
	for range 2 {
		if refused := s.deliver(tokenOf("second", noon), true); refused.Repaired || !problem.Is(refused.Publication, v1alpha1.PersistBlockedReason) {
			t.Errorf("a repair that was refused is told: %t, with %v", refused.Repaired, refused.Publication)
		}
	}
	s.refused = false
	if made := s.deliver(tokenOf("second", noon), true); !made.Repaired || made.Publication != nil || string(s.stored().Data["access_token"]) != "second" {
		t.Errorf("it is told: %t, with %v", made.Repaired, made.Publication)
	}
}

// TestATargetThatAdmissionChangesIsNotRepaired has a webhook change what is written.
func TestATargetThatAdmissionChangesIsNotRepaired(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.remove()
	s.admission = func(target *corev1.Secret) { target.Data["access_token"] = []byte("other") }
	done := s.deliver(tokenOf("first", noon), false)
	if done.Repaired || done.Target.Holds || !problem.Is(done.Publication, v1alpha1.TargetConflictReason) {
		t.Errorf("repaired: %t, holds: %t, with %v", done.Repaired, done.Target.Holds, done.Publication)
	}
}

func TestATargetThatNothingCanRepairIsLookedAtAgainOnlyAtAPace(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		reason  string
		repairs int
		want    time.Time
	}{
		{"no repair is held back, so there is nothing to wait for", 0, time.Time{}},
		{"the repair after one that was just made waits", 1, noon.Add(time.Second)},
	} {
		s := newScene(t)
		s.remove()
		key := client.ObjectKeyFromObject(s.credential)
		for range each.repairs {
			s.repairs.Note(key)
		}
		got := s.deliver(token.Token{}, false)
		if !got.Again.Equal(each.want) || s.IsHeldBack(key) != (each.repairs > 0) || s.MayRefill(s.credential, Goal{}) != (each.repairs == 0) {
			t.Errorf("it is looked at again at %s, want %s; held back: %t; may be refilled: %t\nreason: %s",
				got.Again, each.want, s.IsHeldBack(key), s.MayRefill(s.credential, Goal{}), each.reason)
		}
		if s.Forget(key); s.IsHeldBack(key) || !s.MayRefill(s.credential, Goal{}) {
			t.Error("what was done for a credential that is gone does not count for the next of its name")
		}
	}
}

// TestASuspendedTargetIsReportedAsItIs has a token in the state that is not in the target.
func TestASuspendedTargetIsReportedAsItIs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.credential.Spec.Suspend = true
	done := s.deliver(tokenOf("second", noon.Add(time.Minute)), false)
	if !done.Target.Token.IssuedAt.Equal(noon) || !done.Target.Holds || string(s.stored().Data["access_token"]) != "first" {
		t.Errorf("the target is reported as %+v: it holds the first token, and is left alone", done.Target)
	}
}
