// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestADoubtfulProviderIsWarnedOf describes one that would lose tokens, and then mends it.
func TestADoubtfulProviderIsWarnedOf(t *testing.T) {
	t.Parallel()
	const doubtful = `
refresh:
  request: {url: "https://id.example/token", form: {refresh_token: "${refreshToken}"}}
  response:
    accessToken: body.access_token
    failures: [{when: body.error == "invalid_grant", reason: ReauthorizationRequired}, {when: status >= 500, reason: ProviderUnavailable}]
rotation: {mode: SingleUse}
`
	w := newWorld(t, 0)
	w.start()
	for _, each := range []struct{ description, warning string }{
		{doubtful, "spec.refresh.response.failures[1].when: a plain 500 matches it"},
		{strings.Replace(doubtful, "status >= 500", "status == 429", 1), ""},
	} {
		var spec v1alpha1.ClusterTokenProviderSpec
		must(t, yaml.UnmarshalStrict([]byte(each.description), &spec))
		w.provide(spec)
		w.awaitProvider(metav1.ConditionTrue, v1alpha1.CompiledReason, each.warning)
		described := &v1alpha1.ClusterTokenProvider{}
		must(t, w.Get(t.Context(), client.ObjectKey{Name: w.cluster()}, described))
		warning := meta.FindStatusCondition(described.Status.Conditions, v1alpha1.WarningCondition)
		switch {
		case each.warning == "" && warning != nil:
			t.Errorf("the warning stays after its cause is gone: %+v", warning)
		case each.warning != "" && (warning == nil || warning.Reason != v1alpha1.LikelyMistakeReason || !strings.Contains(warning.Message, each.warning)):
			t.Errorf("the condition Warning is %+v, want one that says %s", warning, each.warning)
		}
	}
}
