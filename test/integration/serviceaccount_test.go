// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const federated = `
inputs:
  app: None
  refreshToken: None
  serviceAccountToken: {audience: "${parameters.audience}"}
  parameters: [{name: audience, required: true}]
login:
  request: {url: "https://sts.example/token", form: {subject_token: "${serviceAccountToken}"}}
  response: {accessToken: body.access_token}
`

// account makes the service account shop, and gives what makes its tokens as the operator
// does, for an audience.
func (w *world) account() func(audience string) (string, error) {
	w.t.Helper()
	must(w.t, w.Create(w.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop"}}))
	var spec v1alpha1.ClusterTokenProviderSpec
	must(w.t, yaml.UnmarshalStrict([]byte(federated), &spec))
	compiled, err := compile.Provider("sts", spec)
	must(w.t, err)
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop"}}
	credential.Spec.ServiceAccountName = "shop"
	gatherer := &inputs.Gatherer{ServiceAccounts: &inputs.ServiceAccounts{Client: w.Client, Clock: clock.RealClock{}}}
	return func(audience string) (string, error) {
		in := &inputs.Inputs{Provider: inputs.Provider{Provider: compiled}, Parameters: map[string]string{"audience": audience}}
		complete, err := gatherer.ForCall(w.t.Context(), credential, in)
		if err != nil {
			return "", err
		}
		return complete.ServiceAccountToken.Reveal(), nil
	}
}

// review asks the API server whether it takes a token for these audiences; none: its own.
func (w *world) review(token string, audiences ...string) authenticationv1.TokenReviewStatus {
	w.t.Helper()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}
	must(w.t, w.Create(w.t.Context(), review))
	return review.Status
}

// TestATokenOfAServiceAccountIsForTheProviderAlone asks a real API server for tokens.
func TestATokenOfAServiceAccountIsForTheProviderAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	tokenFor := w.account()

	const sts = "https://sts.example"
	token, err := tokenFor(sts)
	must(t, err)
	if there := w.review(token, sts); !there.Authenticated || there.User.Username != "system:serviceaccount:"+w.namespace+":shop" {
		t.Errorf("for the provider it is %+v, want the service account", there)
	}
	if here := w.review(token); here.Authenticated {
		t.Errorf("it opens this cluster, as %s", here.User.Username)
	}
	if again, err := tokenFor(sts); err != nil || again != token {
		t.Errorf("another token is made at once, with %v: one is kept for most of its life", err)
	}
}

// TestATokenOfAServiceAccountThatWouldOpenThisCluster asks for tokens for each name that
// the API server has for itself.
func TestATokenOfAServiceAccountThatWouldOpenThisCluster(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a token of a service account for this cluster's API server")
	w := newWorld(t, 0)
	tokenFor := w.account()
	named := &authenticationv1.TokenRequest{}
	must(t, w.SubResource("token").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop"}}, named))
	if len(named.Spec.Audiences) == 0 {
		t.Fatal("the API server does not say what it is called")
	}
	for _, audience := range append(named.Spec.Audiences, "https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local", "api") {
		token, err := tokenFor(audience)
		if p := problem.Of(err); p == nil || p.Reason != v1alpha1.InvalidParametersReason || token != "" {
			t.Errorf("for %q: %v, want %s", audience, err, v1alpha1.InvalidParametersReason)
		}
	}
}
