// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package referrers

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestReferrersAreThoseWhoNameASecret plays credentials that come, change and go,
// and compares with a look at all of them.
func TestReferrersAreThoseWhoNameASecret(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := func(label string) string { return rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, label) }
		known, credentials := &Index{}, map[types.NamespacedName]*v1alpha1.TokenCredential{}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			name := types.NamespacedName{Namespace: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "namespace"), Name: "credential-" + word("name")}
			before := credentials[name]
			var after *v1alpha1.TokenCredential
			if rapid.Bool().Draw(t, "stays") {
				after = naming(name, word("app"), word("seed"), word("login"), word("target"))
			}
			if before == nil && after == nil {
				continue
			}
			known.Update(before, after)
			delete(credentials, name)
			if after != nil {
				credentials[name] = after
			}
		}
		for _, namespace := range []string{"x", "y"} {
			for _, secret := range []string{"a", "b", "c"} {
				key := types.NamespacedName{Namespace: namespace, Name: secret}
				if got, want := known.Of(key), lookedUp(credentials, key); !slices.Equal(got, want) {
					t.Fatalf("the Secret %s wakes %v, but %v name it", key, got, want)
				}
			}
		}
		for name, credential := range credentials {
			known.Update(credential, nil)
			delete(credentials, name)
		}
		if len(known.bySecret) > 0 {
			t.Fatalf("all credentials are gone, and %v is remembered", known.bySecret)
		}
	})
}

// naming is a credential that names these Secrets; an empty name is none.
func naming(name types.NamespacedName, app, seed, login, target string) *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{}
	credential.Namespace, credential.Name = name.Namespace, name.Name
	credential.Spec.Target.Name = v1alpha1.SecretName(target)
	if app != "" {
		credential.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: v1alpha1.SecretName(app)}
	}
	if seed != "" {
		credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(seed)}
	}
	if login != "" {
		credential.Spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: v1alpha1.SecretName(login)}
	}
	return credential
}

// lookedUp are the credentials that name a Secret, in order.
func lookedUp(credentials map[types.NamespacedName]*v1alpha1.TokenCredential, secret types.NamespacedName) []types.NamespacedName {
	var all []types.NamespacedName
	for name, credential := range credentials {
		if name.Namespace == secret.Namespace && slices.Contains(SecretsOf(credential), secret) {
			all = append(all, name)
		}
	}
	slices.SortFunc(all, func(a, b types.NamespacedName) int { return strings.Compare(a.Name, b.Name) })
	return all
}
