// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a state Secret as target")
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "shop", UID: "1"}}
	owned := func(change func(*corev1.Secret)) *corev1.Secret {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "shop", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(credential, credentialKind)}},
			Type:       corev1.SecretTypeOpaque,
		}
		change(s)
		return s
	}
	yes := true
	cases := map[string]struct {
		reason string
		policy v1alpha1.CreationPolicy
		live   *corev1.Secret
		want   string // part of the message; "" where nothing prevents it
	}{
		"our own":             {"what we own we write", v1alpha1.OwnerPolicy, owned(func(*corev1.Secret) {}), ""},
		"an earlier one's":    {"a credential of that name that is gone left it", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].UID = "0" }), ""},
		"nobody's":            {"a Secret that a user made is not overwritten", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences = nil }), "Merge"},
		"another's":           {"what someone else owns is never touched", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].Name = "other" }), `owned by TokenCredential "other"`},
		"another kind's":      {"what someone else owns is never touched", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].Kind = "Certificate" }), `owned by Certificate "shop"`},
		"immutable":           {"it cannot be written", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Immutable = &yes }), "immutable"},
		"being deleted":       {"it is made again once it is gone", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: noon} }), "being deleted"},
		"of another type":     {"a Secret's type cannot change", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Type = corev1.SecretTypeBasicAuth }), "type cannot change"},
		"a service account's": {"never a service-account token", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }), "never written"},
		"merged, nobody's":    {"the user asked to add keys", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.OwnerReferences = nil }), ""},
		"merged, another's":   {"what someone else owns is never touched", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].Name = "other" }), "owned by"},
		"merged into an SA's": {"never a service-account token", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }), "never written"},
		"merged into a state": {"a state Secret is nobody's target", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.Type = v1alpha1.StateSecretType }), "never written"},
		"a controller and we": {"an owner that does not control is no owner", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) {
			s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{Kind: "App", Name: "x"})
		}), ""},
		"full of annotations":  {"the mark would not fit", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Annotations = map[string]string{"a": strings.Repeat("x", 262_000)} }), "remove some"},
		"merged, any ours may": {"basic-auth is an allowed type", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.Type, s.OwnerReferences = corev1.SecretTypeBasicAuth, nil }), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge(credential, compiled(t, v1alpha1.Target{CreationPolicy: c.policy}), c.live)
			if (c.want == "") != (got == nil) || got != nil && (!strings.Contains(got.Message, c.want) || got.Reason != v1alpha1.TargetConflictReason) {
				t.Errorf("%s: got %v, want a TargetConflict that contains %q", c.reason, got, c.want)
			}
		})
	}
}
