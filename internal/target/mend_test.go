// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

func TestMendRestoresLabelsAndLeavesTheToken(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			s.change("kyverno", func(secret *corev1.Secret) {
				secret.Labels["app"], secret.Labels["policy"] = "x", "seen"
			})
			before := s.live()
			mended, err := s.Mend(t.Context(), s.credential, s.template, s.inspect(view.ResourceVersion))
			if err != nil {
				t.Fatal(err)
			}
			live := s.live()
			if live.Labels["app"] != "shop" || live.Labels["policy"] != "seen" {
				t.Errorf("ours is restored and what others added stays: got %v", live.Labels)
			}
			if diff := cmp.Diff(before.Data, live.Data); diff != "" {
				t.Errorf("the token is where it was (-want +got):\n%s", diff)
			}
			if state(mended) != written || mended.ResourceVersion != live.ResourceVersion || !mended.Mark.Equal(valid()) {
				t.Errorf("the view is that of the mended Secret: got %+v", mended)
			}
			if s.calls["create"]+s.calls["update"] > 1 {
				t.Errorf("only metadata is written: got %v", s.calls)
			}
		})
	}
}

func TestMendFollowsAChangedTemplate(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			for _, labels := range []map[string]string{{"tier": "web"}, {}, {"app": "again"}} {
				s.retemplate(labelled(policy, labels))
				var err error
				if view, err = s.Mend(t.Context(), s.credential, s.template, s.inspect(view.ResourceVersion)); err != nil {
					t.Fatal(err)
				}
				live := s.live()
				delete(live.Labels, v1alpha1.ManagedByLabel)
				delete(live.Labels, "team") // the user's
				if len(live.Labels) != len(labels) || state(view) != written {
					t.Errorf("what the template sets no more goes: got %v, want %v in %+v", live.Labels, labels, state(view))
				}
			}
		})
	}
}

func TestMendWritesNoMarkOfATokenThatIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, _ := begin(t, policy, map[string]string{"app": "shop"})
			s.change("manager", func(secret *corev1.Secret) {
				delete(secret.Annotations, MarkKey("uid-1"))
				delete(secret.Labels, "app")
			})
			view, err := s.Mend(t.Context(), s.credential, s.template, s.inspect(s.live().ResourceVersion))
			if err != nil || !view.Holds || !view.Dressed || !view.Mark.IsZero() {
				t.Errorf("the token of the version before stays, and stays unmarked: got %+v, %v", view, err)
			}
		})
	}
}

func TestMendLeavesAloneWhatItCannotMend(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]View{
		"no Secret":         {},
		"another token":     {Exists: true},
		"nothing to change": {Exists: true, Holds: true, Dressed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, v1alpha1.Target{})
			if got, err := s.Mend(t.Context(), s.credential, s.template, view); err != nil || state(got) != state(view) || len(s.calls) != 0 {
				t.Errorf("got %+v, %v after %v", got, err, s.calls)
			}
		})
	}
}

func TestMendDoesNotVouchForATokenThatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			s.change("kyverno", func(secret *corev1.Secret) { secret.Labels["app"] = "x" })
			view = s.inspect(view.ResourceVersion)
			s.change("kyverno", func(secret *corev1.Secret) { secret.Data["access_token"] = []byte("y") })
			if view, err := s.Mend(t.Context(), s.credential, s.template, view); err != nil || view.Holds {
				t.Errorf("the caller has to write the token again: got %+v, %v", view, err)
			}
		})
	}
}

func TestMendDoesNotPutAnOlderTokenBack(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			s.retemplate(labelled(policy, map[string]string{"tier": "web"}))
			view = s.inspect(view.ResourceVersion)
			first := true
			s.fail = func(verb string) error { // another replica publishes between the look and the patch
				if verb == "patch" && first {
					first = false
					s.publishText("newer")
				}
				return nil
			}
			if _, err := s.Mend(t.Context(), s.credential, s.template, view); err != nil {
				t.Fatal(err)
			}
			if got := string(s.live().Data["access_token"]); got != "newer" {
				t.Errorf("the token is %s", got)
			}
		})
	}
}

func TestMendSaysWhatRefusesIt(t *testing.T) {
	t.Parallel()
	s, view := begin(t, v1alpha1.OwnerPolicy, map[string]string{"app": "shop"})
	s.retemplate(labelled(v1alpha1.OwnerPolicy, nil))
	view = s.inspect(view.ResourceVersion)
	s.fail = func(string) error {
		return apierrors.NewForbidden(corev1.Resource("secrets"), "shop", errors.New("no"))
	}
	if _, err := s.Mend(t.Context(), s.credential, s.template, view); !problem.Is(err, v1alpha1.PersistBlockedReason) {
		t.Errorf("got %v", err)
	}
}
