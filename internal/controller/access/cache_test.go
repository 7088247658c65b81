// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestTheCacheKeepsWhatIsRead(t *testing.T) {
	t.Parallel()
	owner := func(kind string) []metav1.OwnerReference {
		isController := true
		return []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: "shop", UID: "one", Controller: &isController}}
	}
	chart := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "chart", UID: "of-the-chart"}
	foreign := map[string]string{"example.com/large": "text"}
	for _, each := range []struct {
		name, reason string
		secret, want metav1.ObjectMeta
		isOpen       bool
	}{
		{name: "a Secret of somebody else", reason: "its version is all that is read",
			secret: metav1.ObjectMeta{Name: "app", ResourceVersion: "7", Labels: foreign, Annotations: foreign, OwnerReferences: owner("Other"), ManagedFields: []metav1.ManagedFieldsEntry{{}}},
			want:   metav1.ObjectMeta{Name: "app", ResourceVersion: "7"}},
		{name: "a state with an open attempt", reason: "it is counted before anything is reconciled",
			secret: metav1.ObjectMeta{Name: "shop" + v1alpha1.StateSecretSuffix, Annotations: map[string]string{
				v1alpha1.CredentialAnnotation: "shop", v1alpha1.AttemptAnnotation: noon.Format(time.RFC3339), "example.com/large": "text"}},
			want: metav1.ObjectMeta{Name: "shop" + v1alpha1.StateSecretSuffix, Annotations: map[string]string{
				v1alpha1.CredentialAnnotation: "shop", v1alpha1.AttemptAnnotation: noon.Format(time.RFC3339)}},
			isOpen: true},
		{name: "a state that rests", reason: "there is one for each credential, and its version is all that is read",
			secret: metav1.ObjectMeta{Name: "shop" + v1alpha1.StateSecretSuffix, Annotations: map[string]string{v1alpha1.CredentialAnnotation: "shop"}},
			want:   metav1.ObjectMeta{Name: "shop" + v1alpha1.StateSecretSuffix}},
		{name: "a target that others write to, too", reason: "a restart learns from it which token it holds",
			secret: metav1.ObjectMeta{Name: "shared", Labels: foreign, Annotations: map[string]string{v1alpha1.TokenAnnotationPrefix + "one": "mark", "example.com/large": "text"}},
			want:   metav1.ObjectMeta{Name: "shared", Annotations: map[string]string{v1alpha1.TokenAnnotationPrefix + "one": "mark"}}},
		{name: "a target of the operator's own", reason: "its next writing keeps what others have put on it",
			secret: metav1.ObjectMeta{Name: "shop", Labels: foreign, Annotations: foreign, OwnerReferences: owner("TokenCredential")},
			want: metav1.ObjectMeta{Name: "shop", Labels: foreign, Annotations: foreign, OwnerReferences: func() []metav1.OwnerReference {
				owners := owner("TokenCredential")
				owners[0].UID = ""
				return owners
			}()}},
		{name: "a target that a chart owns, too", reason: "it is written back, and the API server takes no reference without a UID",
			secret: metav1.ObjectMeta{Name: "shop", OwnerReferences: append(owner("TokenCredential"), chart)},
			want: metav1.ObjectMeta{Name: "shop", OwnerReferences: func() []metav1.OwnerReference {
				owners := append(owner("TokenCredential"), chart)
				owners[0].UID = ""
				return owners
			}()}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			slimmed, err := slimSecret(&metav1.PartialObjectMetadata{ObjectMeta: each.secret})
			if err != nil {
				t.Fatal(err)
			}
			got := slimmed.(*metav1.PartialObjectMetadata)
			if diff := cmp.Diff(each.want, got.ObjectMeta); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
			if _, isOpen := marks.OpenAttempt(got); isOpen != each.isOpen {
				t.Errorf("it has an open attempt: %t, want %t\nreason: %s", isOpen, each.isOpen, each.reason)
			}
		})
	}
}

// TestTheCacheKeepsWhatACredentialIsJudgedBy drops what nothing reads, and nothing else.
func TestTheCacheKeepsWhatACredentialIsJudgedBy(t *testing.T) {
	t.Parallel()
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop", UID: "one", ResourceVersion: "7", Generation: 3, Annotations: map[string]string{v1alpha1.RefreshAtAnnotation: "now"}}}
	credential.Spec.ProviderRef.Name = "oauth2"
	credential.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: "app"}
	credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: "seed"}
	credential.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Reason: v1alpha1.TokenValidReason, Message: "well"}}
	credential.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: v1alpha1.RefreshedReason}
	full := credential.DeepCopy()
	full.Labels, full.ManagedFields = map[string]string{"a": "b"}, []metav1.ManagedFieldsEntry{{}}
	full.OwnerReferences = []metav1.OwnerReference{{Name: "chart"}}
	full.Annotations[corev1.LastAppliedConfigAnnotation] = "{}"
	got, err := slimCredential(full)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(credential, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, transform := range []func(any) (any, error){slimCredential, slimSecret, slimNamespace} {
		if _, err := transform(&corev1.Secret{}); err == nil {
			t.Error("an object of another kind, whose values would stay in memory, is an error")
		}
	}
}

// TestTheCacheKeepsTheLabelsOfNamespaces, by which providers choose.
func TestTheCacheKeepsTheLabelsOfNamespaces(t *testing.T) {
	t.Parallel()
	got, err := slimNamespace(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "team-a", ResourceVersion: "7", Labels: map[string]string{"plan": "paid"}, Annotations: map[string]string{"example.com/large": "text"}, ManagedFields: []metav1.ManagedFieldsEntry{{}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "team-a", ResourceVersion: "7", Labels: map[string]string{"plan": "paid"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
