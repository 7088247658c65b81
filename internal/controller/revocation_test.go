// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const revocable = singleUse + `
revoke:
  request: {method: POST, url: "https://shop.example/revoke", form: {token: "${refreshToken}"}}
`

// departs deletes the credential "shop", and reconciles until it is gone, or for too long.
func (s *scene) departs() (visits int) {
	s.Helper()
	if err := s.cluster.Delete(s.Context(), s.get("shop")); err != nil {
		s.Fatal(err)
	}
	key := types.NamespacedName{Namespace: "team", Name: "shop"}
	for ; visits < 20; visits++ {
		if apierrors.IsNotFound(s.cluster.Get(s.Context(), key, &v1alpha1.TokenCredential{})) {
			return visits
		}
		result, err := s.Reconcile(s.Context(), ctrl.Request{NamespacedName: key})
		if err != nil {
			s.Fatal(err)
		}
		s.after(result.RequeueAfter)
	}
	s.Fatal("the credential is never let go")
	return visits
}

func TestAGrantIsRevokedWithItsCredential(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		provider     string
		before       func(s *scene)
		calls        int // for the revocation
		within       time.Duration
		event        string
		keepsState   bool
	}{
		{"the provider does it", "the token is dead, so nothing of it stays", revocable, func(*scene) {}, 1, 0, v1alpha1.RevokedEvent, false},
		{"the provider is down", "whoever deletes is not kept waiting for ever", revocable, func(s *scene) { s.answer = "unavailable" }, 5, 10 * time.Minute, v1alpha1.RevocationFailedEvent, true},
		{"the provider describes none", "a person is told to do it", singleUse, func(*scene) {}, 0, 10 * time.Minute, v1alpha1.RevocationFailedEvent, true},
		{"it is suspended", "then no call is made, and a person is told", revocable, func(s *scene) {
			s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })
		}, 0, 0, v1alpha1.RevocationFailedEvent, true},
		{"it is not asked for any more", "then it goes as any other", revocable, func(s *scene) {
			s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.RevokeOnDeletion = false })
		}, 0, 0, "", true},
		{"its state is gone", "there is nothing to revoke", revocable, func(s *scene) { s.edit("shop-token-state", nil) }, 0, 0, "", false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, each.provider)
			s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.RevokeOnDeletion = true })
			s.reconcile("shop")
			if !controllerutil.ContainsFinalizer(s.get("shop"), v1alpha1.RevokeFinalizer) || s.token("shop") == "" {
				t.Fatal("it has no token, or nothing holds it for its revocation")
			}
			each.before(s)
			before, began := s.calls, s.clock.Now()
			s.events = nil
			s.departs()
			if made := s.calls - before; made != each.calls {
				t.Errorf("%d calls were made, want %d\nreason: %s", made, each.calls, each.reason)
			}
			if took := s.clock.Now().Sub(began); took > each.within {
				t.Errorf("it took %s, want %s at most\nreason: %s", took, each.within, each.reason)
			}
			want := []string{each.event}
			if each.event == "" {
				want = nil
			}
			if !slices.Equal(s.events, want) {
				t.Errorf("the events are %q, want %q\nreason: %s", s.events, want, each.reason)
			}
			err := s.cluster.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "shop-token-state"}, &corev1.Secret{})
			if apierrors.IsNotFound(err) == each.keepsState {
				t.Errorf("the state is kept: %t, want %t\nreason: %s", err == nil, each.keepsState, each.reason)
			}
		})
	}
}

func TestOnlyWhoAsksForItIsHeldForARevocation(t *testing.T) {
	t.Parallel()
	s := newScene(t, revocable)
	s.reconcile("shop")
	if held := s.get("shop").Finalizers; len(held) > 0 {
		t.Errorf("it has the finalizers %q", held)
	}
	s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.RevokeOnDeletion = true })
	s.reconcile("shop")
	s.respec(func(c *v1alpha1.TokenCredential) { c.Spec.RevokeOnDeletion = false })
	s.reconcile("shop")
	if held := s.get("shop").Finalizers; len(held) > 0 {
		t.Errorf("it keeps the finalizers %q after the field was taken back", held)
	}
}
