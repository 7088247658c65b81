// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestInputRefusesWhatIsNeverSent(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		kind   corev1.SecretType
		reason string
		says   string // empty: it may be sent
	}{
		{corev1.SecretTypeOpaque, "what users keep their secrets in", ""},
		{"", "the API server takes it for Opaque", ""},
		{corev1.SecretTypeBasicAuth, "a login may be kept so", ""},
		{corev1.SecretTypeTLS, "a client's certificate is kept so", ""},
		{"example.com/app", "a user's own type", ""},
		{corev1.SecretTypeServiceAccountToken, "whoever has it acts in the cluster", "opens this cluster"},
		{corev1.SecretTypeBootstrapToken, "whoever has it adds a node", "join this cluster"},
		{"helm.sh/release.v1", "a chart's values hold passwords", "Helm"},
		{v1alpha1.StateSecretType, "another credential's refresh token is not this one's to send", "live refresh token"},
		{v1alpha1.DigestKeySecretType, "who has it can check guesses at every secret", "key of the operator's digests"},
	} {
		t.Run(string(each.kind), func(t *testing.T) {
			t.Parallel()
			p := Input("spec.appSecretRef", "app", each.kind)
			if (p == nil) != (each.says == "") || IsNeverSent(each.kind) != (each.says != "") {
				t.Fatalf("the problem is %v\nreason: %s", p, each.reason)
			}
			if p == nil {
				return
			}
			for _, part := range []string{each.says, `"app"`, "spec.appSecretRef", string(each.kind)} {
				if !strings.Contains(p.Message, part) || p.Reason != v1alpha1.InvalidParametersReason {
					t.Errorf("%v does not say %q\nreason: %s", p, part, each.reason)
				}
			}
		})
	}
}

func TestInputNameRefusesTheNamesOfStates(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		refused      bool
	}{
		{"shop", "a name as any other", false},
		{"token-state", "no credential has an empty name", false},
		{"shop-token-state", "it is the state of the credential shop", true},
		{"shop-token-states", "the end counts", false},
		{"shop-token-state-token-state", "a credential may be named like a state", true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if p := InputName("spec.loginSecretRef", each.name); (p != nil) != each.refused {
				t.Errorf("the problem is %v\nreason: %s", p, each.reason)
			}
		})
	}
}

func TestUnwritable(t *testing.T) {
	t.Parallel()
	yes := true
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "1", Controller: &yes}
	for _, each := range []struct {
		name, reason string
		change       func(*corev1.Secret)
		isOwn        func(*metav1.OwnerReference) bool
		want         Kind // empty: it may be written
		says         string
	}{
		{"a user's", "nobody stands against it", func(*corev1.Secret) {}, nil, "", ""},
		{"a certificate", "a key and its certificate are written together, by whoever issues them", func(s *corev1.Secret) { s.Type = corev1.SecretTypeTLS }, nil, OfType, "kubernetes.io/tls"},
		{"a state", "a state is its store's alone", func(s *corev1.Secret) { s.Type = v1alpha1.StateSecretType }, nil, OfType, "never written"},
		{"a Helm release", "a changed one cannot be upgraded", func(s *corev1.Secret) { s.Type = helmRelease }, nil, OfType, "never written"},
		{"a service account's token", "another token there would be used by pods", func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }, nil, OfType, "never written"},
		{"an immutable one", "the API server would refuse it", func(s *corev1.Secret) { s.Immutable = &yes }, nil, Immutable, "immutable"},
		{"one that says it is mutable", "that is the default", func(s *corev1.Secret) { no := false; s.Immutable = &no }, nil, "", ""},
		{"one that is being deleted", "it is gone soon", func(s *corev1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} }, nil, Deleting, "being deleted"},
		{"a Deployment's", "whoever controls it writes it", func(s *corev1.Secret) { s.OwnerReferences = append(s.OwnerReferences, owner) }, nil, Owned, `Deployment "web"`},
		{"a Deployment's, for a credential", "another's is not its own", func(s *corev1.Secret) { s.OwnerReferences = append(s.OwnerReferences, owner) },
			func(o *metav1.OwnerReference) bool { return o.UID == "2" }, Owned, "owned by"},
		{"the credential's own", "it may write what it controls", func(s *corev1.Secret) { s.OwnerReferences = append(s.OwnerReferences, owner) },
			func(o *metav1.OwnerReference) bool { return o.UID == "1" }, "", ""},
		{"one with an owner that does not control it", "that one is deleted with its owner, and written by anyone", func(s *corev1.Secret) {
			loose := owner
			loose.Controller = nil
			s.OwnerReferences = append(s.OwnerReferences, loose)
		}, nil, "", ""},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Type: corev1.SecretTypeOpaque}
			each.change(live)
			got := Unwritable(live, each.isOwn)
			if (got == nil) != (each.want == "") || got != nil && (got.Kind != each.want || !strings.Contains(got.Why, each.says)) {
				t.Errorf("the obstacle is %+v, want %q that says %q\nreason: %s", got, each.want, each.says, each.reason)
			}
		})
	}
}

func TestMetadataKey(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		key, reason string
		refused     bool
	}{
		{"app", "a key without a domain is its user's", false},
		{"team.example.com/owner", "a user's own domain", false},
		{"app.kubernetes.io/name", "recommended to everyone", false},
		{"app.kubernetes.io/part-of", "recommended to everyone", false},
		{"kubernetes.io/description", "a text for people", false},
		{"external-secrets.io/type", "External Secrets' webhook generator asks for it", false},
		{"argocd.argoproj.io/secret-type", "Argo CD reads its own namespace alone, and a rotating token of a repository is a use of this operator", false},
		{"cluster.x-k8s.io/cluster-name", "another domain, which only ends alike", false},
		{"notkubernetes.io/x", "another domain, which only ends alike", false},
		{"kubernetes.io.example.com/x", "another domain, which only begins alike", false},
		{"tokenkeeper.io/credential", "it makes a Secret look like a state", true},
		{"tokenkeeper.io/attempt", "it makes a state look as if a call were under way", true},
		{"token.tokenkeeper.io/live", "by it states on one refresh token find each other", true},
		{"token.tokenkeeper.io/1", "a mark that no token goes with would be believed", true},
		{"ToKen.TokenKeeper.IO/1", "annotations may have capitals", true},
		{"kubernetes.io/service-account.name", "it names whose token a Secret holds", true},
		{"addonmanager.kubernetes.io/mode", "an add-on manager deletes what bears it", true},
		{"config.k8s.io/owning-inventory", "tools that prune go by it", true},
		{"k8s.io/x", "Kubernetes' own", true},
		{"kubernetes.io/Description", "it is another key than the one for people", true},
	} {
		t.Run(each.key, func(t *testing.T) {
			t.Parallel()
			if complaint := MetadataKey(each.key); (complaint != "") != each.refused {
				t.Errorf("it says %q\nreason: %s", complaint, each.reason)
			}
		})
	}
}
