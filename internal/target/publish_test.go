// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

var (
	written = stateOf{Exists: true, Holds: true, Rendered: true, Dressed: true}
	both    = []v1alpha1.CreationPolicy{v1alpha1.OwnerPolicy, v1alpha1.MergePolicy}
)

// begin publishes the first token of a target.
func begin(t *testing.T, policy v1alpha1.CreationPolicy, labels map[string]string) (*scene, View) {
	t.Helper()
	var secrets []client.Object
	if policy == v1alpha1.MergePolicy {
		secrets = append(secrets, someones())
	}
	s := newScene(t, labelled(policy, labels), secrets...)
	view := View{}
	if policy == v1alpha1.MergePolicy {
		view = s.inspect("")
	}
	return s, s.publish(view)
}

func TestPublishKeepsWhatIsNotTheCredentials(t *testing.T) {
	t.Parallel()
	t.Run("owned", func(t *testing.T) {
		t.Parallel()
		s, view := begin(t, v1alpha1.OwnerPolicy, map[string]string{"app": "shop"})
		s.change("kyverno", func(secret *corev1.Secret) {
			secret.Labels["team"], secret.Annotations["note"] = "a", "b"
			secret.Annotations[MarkKey("gone")] = "issued=then"
			secret.Finalizers = []string{"example.com/keep"}
			secret.OwnerReferences = append(secret.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "App", Name: "x", UID: "9"})
		})
		s.retemplate(labelled(v1alpha1.OwnerPolicy, map[string]string{"tier": "web"}))
		view = s.publish(s.inspect(view.ResourceVersion))
		live := s.live()
		if diff := cmp.Diff(map[string]string{"team": "a", "tier": "web", v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}, live.Labels); diff != "" {
			t.Errorf("what others set stays, what the template sets no more goes (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"note": "b", MarkKey("uid-1"): view.Mark.Encode()}, live.Annotations); diff != "" {
			t.Errorf("an owned target has one mark (-want +got):\n%s", diff)
		}
		if len(live.Finalizers) != 1 || len(live.OwnerReferences) != 2 {
			t.Errorf("finalizers and owners of others stay: got %v, %v", live.Finalizers, live.OwnerReferences)
		}
	})
	t.Run("merged", func(t *testing.T) {
		t.Parallel()
		s, view := begin(t, v1alpha1.MergePolicy, map[string]string{"app": "shop"})
		s.change("kyverno", func(secret *corev1.Secret) { secret.Annotations[MarkKey("other")] = "issued=then" })
		spec := templated(map[string]string{"mine": "${accessToken}"})
		spec.CreationPolicy = v1alpha1.MergePolicy
		s.retemplate(spec)
		view = s.publish(s.inspect(view.ResourceVersion))
		live := s.live()
		if diff := cmp.Diff(map[string][]byte{"other": []byte("x"), "mine": []byte("the-token")}, live.Data); diff != "" {
			t.Errorf("keys that the template sets no more go, and nobody else's do (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"team": "a"}, live.Labels); diff != "" {
			t.Errorf("labels likewise (-want +got):\n%s", diff)
		}
		if _, kept := live.Annotations[MarkKey("other")]; !kept || state(view) != written {
			t.Errorf("another credential merges its own token: got %v, %+v", live.Annotations, state(view))
		}
	})
}

func TestPublishLooksAgainOnceWhereTheSecretHasChanged(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, nil)
			s.change("kyverno", func(secret *corev1.Secret) { secret.Labels = map[string]string{"team": "b"} })
			if view = s.publish(view); view.ResourceVersion != s.live().ResourceVersion || s.live().Labels["team"] != "b" {
				t.Errorf("what was added meanwhile stays: got %v", s.live().Labels)
			}
		})
	}
	t.Run("made by somebody else meanwhile", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, v1alpha1.Target{}, someones())
		_, err := s.Publish(t.Context(), s.credential, s.template, View{}, render.Content{}, Mark{})
		if !problem.Is(err, v1alpha1.TargetConflictReason) || string(s.live().Data["other"]) != "x" {
			t.Errorf("what someone else made is not overwritten: got %v", err)
		}
	})
}

func TestPublishSeesWhatAdmissionMadeOfIt(t *testing.T) {
	t.Parallel()
	s, view := begin(t, v1alpha1.OwnerPolicy, nil)
	s.Client = admission{s.Client}
	if got := s.publish(view); got.Holds {
		t.Error("a Secret that admission has changed is not what was written, and its version proves nothing")
	}
}

// admission changes each Secret that is updated.
type admission struct{ client.Client }

func (a admission) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	object.(*corev1.Secret).Data["injected"] = []byte("x")
	return a.Client.Update(ctx, object, options...)
}

func contains(text, part string) bool { return strings.Contains(text, part) }
