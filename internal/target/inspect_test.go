// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

func TestWhatIsPublishedIsKnownFromTheCache(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			if diff := cmp.Diff(written, state(view)); diff != "" {
				t.Errorf("it is as it was written (-want +got):\n%s", diff)
			}
			glance := Glance(s.cached(), s.credential)
			if !glance.Mark.Equal(valid()) || glance.Mark.Source != "ab12" || glance.ResourceVersion != view.ResourceVersion || !glance.Exists {
				t.Errorf("the cache tells which token it is: got %+v", glance)
			}
			s.calls["get"] = 0
			if diff := cmp.Diff(written, state(s.inspect(view.ResourceVersion))); diff != "" || s.calls["get"] != 0 {
				t.Errorf("nothing is read while the version is known: %d reads (-want +got):\n%s", s.calls["get"], diff)
			}
			if diff := cmp.Diff(written, state(s.inspect("another"))); diff != "" || s.calls["get"] != 1 {
				t.Errorf("a read proves the same: %d reads (-want +got):\n%s", s.calls["get"], diff)
			}
		})
	}
}

func TestInspectSaysApartWhatDiffers(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app": "shop"}
	key := MarkKey("uid-1")
	cases := map[string]struct {
		reason    string
		policy    v1alpha1.CreationPolicy
		change    func(*corev1.Secret)
		want      stateOf
		contested []Contest
	}{
		"a foreign label": {
			"labels of others are not our business", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { s.Labels["team"] = "b" }, written, nil,
		},
		"a foreign key, merged": {
			"keys of others are not our business", v1alpha1.MergePolicy,
			func(s *corev1.Secret) { s.Data["other"] = []byte("y") }, written, nil,
		},
		"a foreign key, owned": {
			"the whole Secret is ours", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { s.Data["other"] = []byte("y") }, stateOf{Exists: true, Rendered: true, Dressed: true}, nil,
		},
		"our key, owned": {
			"the token is not ours, and whose it is has a name", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { s.Data["access_token"] = []byte("y") }, stateOf{Exists: true, Rendered: true, Dressed: true},
			[]Contest{{"kyverno", "data[access_token]"}},
		},
		"our key, merged": {
			"the token is not ours, and whose it is has a name", v1alpha1.MergePolicy,
			func(s *corev1.Secret) { s.Data["access_token"] = []byte("y") }, stateOf{Exists: true, Rendered: true, Dressed: true},
			[]Contest{{"kyverno", "data[access_token]"}},
		},
		"our key gone, merged": {
			"who deletes owns nothing", v1alpha1.MergePolicy,
			func(s *corev1.Secret) { delete(s.Data, "access_token") }, stateOf{Exists: true, Rendered: true, Dressed: true}, nil,
		},
		"our label, owned": {
			"the token is as it was", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { s.Labels["app"] = "x" }, stateOf{Exists: true, Holds: true, Rendered: true},
			[]Contest{{"kyverno", "metadata.labels[app]"}},
		},
		"our label, merged": {
			"the token is as it was", v1alpha1.MergePolicy,
			func(s *corev1.Secret) { s.Labels["app"] = "x" }, stateOf{Exists: true, Holds: true, Rendered: true},
			[]Contest{{"kyverno", "metadata.labels[app]"}},
		},
		"the label of what is ours": {
			"it marks what the operator owns", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { delete(s.Labels, v1alpha1.ManagedByLabel) }, stateOf{Exists: true, Holds: true, Rendered: true}, nil,
		},
		"the label of what is another's": {
			"a merged Secret is managed by its owner", v1alpha1.MergePolicy,
			func(s *corev1.Secret) { s.Labels[v1alpha1.ManagedByLabel] = "x" }, written, nil,
		},
		"the mark gone": {
			"nothing says which token it is", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { delete(s.Annotations, key) }, stateOf{Exists: true, Dressed: true}, nil,
		},
		"the mark of garbage": {
			"nothing says which token it is, and who wrote it has a name", v1alpha1.OwnerPolicy,
			func(s *corev1.Secret) { s.Annotations[key] = "x" }, stateOf{Exists: true, Dressed: true},
			[]Contest{{"kyverno", "metadata.annotations[" + key + "]"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, c.policy, labels)
			s.change("kyverno", c.change)
			got := s.inspect(view.ResourceVersion)
			if diff := cmp.Diff(c.want, state(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.contested, got.Contested); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestInspectTellsAChangedTemplateFromAChangedSecret(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			s.retemplate(labelled(policy, map[string]string{"tier": "web"}))
			got := s.inspect(view.ResourceVersion)
			if diff := cmp.Diff(stateOf{Exists: true, Holds: true, Rendered: true}, state(got)); diff != "" {
				t.Errorf("other labels need no other token (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"metadata.labels[app]", "metadata.labels[tier]"}, got.Undressed); diff != "" {
				t.Errorf("one goes and one comes (-want +got):\n%s", diff)
			}
			spec := templated(map[string]string{"AUTHORIZATION": "Bearer ${accessToken}"})
			spec.CreationPolicy = policy
			s.retemplate(spec)
			if got := s.inspect(view.ResourceVersion); !got.Holds || got.Rendered {
				t.Errorf("the token is as good as ever, and must be rendered again: got %+v", state(got))
			}
		})
	}
}

func TestInspectKnowsATargetOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, _ := begin(t, policy, nil)
			s.change("manager", func(secret *corev1.Secret) { delete(secret.Annotations, MarkKey("uid-1")) })
			s.credential.Status.ObservedGeneration = 1
			known := s.live().ResourceVersion
			if got := s.inspect(known); state(got) != written || !got.Mark.IsZero() {
				t.Errorf("it still holds what was written: got %+v", got)
			}
			s.credential.Generation = 2
			if got := s.inspect(known); !got.Holds || got.Rendered {
				t.Errorf("another spec may ask for another shape: got %+v", state(got))
			}
			if got := s.inspect("another"); got.Holds {
				t.Error("without a mark, another version may hold anything")
			}
		})
	}
}

func TestInspectRefusesBeforeAnythingIsSpent(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(corev1.Resource("secrets"), "shop", errors.New("the token is hunter2"))
	cases := map[string]struct {
		reason string
		policy v1alpha1.CreationPolicy
		known  string
		err    error
		want   string
		text   string
	}{
		"a missing Secret to merge into": {"the user makes it", v1alpha1.MergePolicy, "7", nil, v1alpha1.SecretNotFoundReason, "create it"},
		"one that never was":             {"the cache may lag, and the user makes it", v1alpha1.MergePolicy, "", nil, v1alpha1.SecretNotFoundReason, "create it"},
		"no right to read":               {"a refusal is said as one", v1alpha1.OwnerPolicy, "7", forbidden, v1alpha1.PersistBlockedReason, "(Forbidden): look at the operator's role"},
		"no API server":                  {"that is no refusal", v1alpha1.OwnerPolicy, "7", errors.New("dial tcp: connection refused"), v1alpha1.PersistBlockedReason, "could not be reached"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, v1alpha1.Target{CreationPolicy: c.policy})
			s.fail = func(string) error { return c.err }
			_, err := s.Inspect(t.Context(), s.credential, s.template, nil, c.known)
			if p := problem.Of(err); p == nil || p.Reason != c.want || !contains(p.Message, c.text) || contains(p.Message, "hunter2") {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}

func TestInspectReadsNothingOfATargetThatWasNeverWritten(t *testing.T) {
	t.Parallel()
	s := newScene(t, v1alpha1.Target{})
	view, err := s.Inspect(t.Context(), s.credential, s.template, nil, "")
	if err != nil || view.Exists || view.Holds || s.calls["get"] != 0 {
		t.Errorf("got %+v, %v after %d reads", view, err, s.calls["get"])
	}
}

func TestOnlyWhoTookAFieldOverContestsIt(t *testing.T) {
	t.Parallel()
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{UID: "uid-1"}}
	entry := func(manager string, minute int, fields string) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(noon.Add(time.Duration(minute) * time.Minute))
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const both, one = `{"f:data":{".":{},"f:a":{},"f:b":{}}}`, `{"f:data":{"f:a":{}}}`
	status := entry("kubelet", 9, both)
	status.Subresource = "status"
	cases := map[string]struct {
		reason string
		others []metav1.ManagedFieldsEntry
		want   []Contest
	}{
		"both own it":        {"the value is ours too", []metav1.ManagedFieldsEntry{entry("x", 9, both)}, []Contest{{"x", "data[b]"}}},
		"earlier":            {"it wrote before we did, as the version before does", []metav1.ManagedFieldsEntry{entry("manager", 4, both)}, nil},
		"in the same second": {"times are whole seconds", []metav1.ManagedFieldsEntry{entry("x", 5, both)}, []Contest{{"x", "data[b]"}}},
		"a subresource":      {"it holds no field of ours", []metav1.ManagedFieldsEntry{status}, nil},
		"garbage":            {"it names nothing", []metav1.ManagedFieldsEntry{entry("x", 9, "[]"), {Manager: "y"}}, nil},
		"two":                {"each is named once", []metav1.ManagedFieldsEntry{entry("y", 9, both), entry("x", 9, both), entry("x", 8, both)}, []Contest{{"x", "data[b]"}, {"y", "data[b]"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ManagedFields: append(c.others, entry("tokenkeeper-uid-1", 5, one))}}
			if diff := cmp.Diff(c.want, contests(credential, live, []string{"data[a]", "data[b]"})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
