// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"os"
	"testing"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// boundTokens is the description in dpop.yaml.
func boundTokens(t *testing.T) (spec v1alpha1.ClusterTokenProviderSpec) {
	t.Helper()
	text, err := os.ReadFile("dpop.yaml")
	must(t, err)
	must(t, yaml.UnmarshalStrict(text, &spec))
	return spec
}

func TestAProofOfTheKeyIsSentWithARefresh(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]rotation{"without a nonce": rotates, "with a nonce of the server": withNonces} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := node(t, when)
			a := n.register(t, withProof(t))
			outcome := refreshBy(t, boundTokens(t), a, map[string]string{"tokenURL": n.tokenURL()}, n.consent(t, a))
			if outcome.Reason != v1alpha1.RefreshedReason || outcome.Grant.Type != "DPoP" || outcome.Grant.RefreshToken.IsZero() {
				t.Errorf("it brought no bound token and its successor: %s: %s", outcome.Reason, outcome.Message)
			}
			stranger := withProof(t)
			stranger.id = a.id
			outcome = refreshBy(t, boundTokens(t), stranger, map[string]string{"tokenURL": n.tokenURL()}, n.consent(t, a))
			if outcome.Reason != v1alpha1.ReauthorizationRequiredReason {
				t.Errorf("the proof of another key is told %s: %s", outcome.Reason, outcome.Message)
			}
		})
	}
}

func TestALifeOfTokensThatAreBoundToAKey(t *testing.T) {
	t.Parallel()
	n := node(t, withNonces)
	a := n.register(t, withProof(t))
	described := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "dpop-" + uuid.NewString()}, Spec: boundTokens(t)}
	must(t, apiserver.NewClient(t).Create(t.Context(), described))
	w := newWorld(t, a, n.tokenURL(), n.consent(t, a), func(spec *v1alpha1.TokenCredentialSpec) {
		spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: described.Name}
		spec.Parameters = map[string]string{"tokenURL": n.tokenURL()}
	})
	w.awaitFresh(1)
	for i := range rotations {
		w.askForRefresh()
		w.awaitFresh(int64(i) + 2)
	}
	if !n.accepts(t, w.token()) || w.read(shop, "token_type") != "DPoP" {
		t.Error("the target does not hold a bound token that the server accepts")
	}
}
