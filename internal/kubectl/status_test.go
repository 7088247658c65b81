// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestABuiltInProviderThatTheOperatorLacksIsMarked(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, why, want string
	}{
		{"it is found", v1alpha1.RefreshedReason, "the operator has it", ""},
		{"another failure", v1alpha1.ProviderUnavailableReason, "it was found to be asked", ""},
		{"it is not found", v1alpha1.ProviderNotFoundReason, "which are built in is a flag of the operator's", "the operator has none of that name"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			credential := &v1alpha1.TokenCredential{}
			credential.Spec.ProviderRef.Name = "xiaomy"
			credential.Status.Conditions = []metav1.Condition{
				{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue},
				{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionFalse, Reason: each.reason},
			}
			if got := providerUse(t.Context(), nil, credential).Wrong; got != each.want {
				t.Errorf("it is said to be wrong: %q, want %q\nreason: %s", got, each.want, each.why)
			}
		})
	}
}
