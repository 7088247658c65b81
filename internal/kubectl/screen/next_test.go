// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestNextGivesTheCommandForWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, message string
		want                  []Step
	}{
		{"both Secrets", "each has its command", `the Secret "shop-app" of spec.appSecretRef does not exist: create it; the Secret "shop-seed" of spec.refreshTokenSecretRef does not exist: create it`, []Step{
			{"create it, with its values from files:", "kubectl create secret generic shop-app -n team-a --from-file=client_id=FILE --from-file=app_secret=FILE"},
			{"create it, with its values from files:", "kubectl create secret generic shop-seed -n team-a --from-file=refresh_token=FILE"},
		}},
		{"one of them", "the other is there", `the Secret "shop-seed" of spec.refreshTokenSecretRef does not exist: create it`, []Step{
			{"create it, with its values from files:", "kubectl create secret generic shop-seed -n team-a --from-file=refresh_token=FILE"},
		}},
		{"a Secret with other keys", "what is in it only its provider's page says", `the Secret "shop-login" of spec.loginSecretRef does not exist: create it`, []Step{
			{Words: "do what the message above says. It is tried again once that is changed"},
		}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}}
			c.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: "shop-app", KeyField: "client_id"}
			c.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: "shop-seed"}
			for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.RefreshedCondition} {
				c.Status.Conditions = append(c.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: v1alpha1.SecretNotFoundReason, Message: each.message})
			}
			if diff := cmp.Diff(each.want, Next(c)); diff != "" {
				t.Errorf("(-want +got):\n%s\nreason: %s", diff, each.reason)
			}
		})
	}
}

func TestNextWhileTheTokenIsGoodAndItsRenewalFails(t *testing.T) {
	t.Parallel()
	byItself := []Step{{"it is tried again by itself; to try now:", "kubectl tokencredential refresh shop -n team-a --wait"}}
	corrected := Step{"and correct the spec, here or where it is kept:", "kubectl edit tokencredential shop -n team-a"}
	for _, each := range []struct {
		name, reason, why string
		want              []Step
	}{
		{"the provider is down", v1alpha1.ProviderUnavailableReason, "nobody has to do anything", byItself},
		{"too many calls", v1alpha1.RateLimitedReason, "nobody has to do anything", byItself},
		{"a provider that is not known", v1alpha1.ProviderNotFoundReason, "it is found by nobody until its name is corrected", []Step{{"see which providers there are:", "kubectl tokencredential providers"}, corrected}},
		{"a parameter that is wrong", v1alpha1.InvalidParametersReason, "it stays wrong until it is corrected", []Step{{"see what the provider wants to know:", "kubectl tokencredential provider explain xiaomi"}, corrected}},
		{"a login that is not accepted", v1alpha1.ReauthorizationRequiredReason, "there is no refresh token that an authorization could replace", []Step{{Words: "do what the message above says. It is tried again once that is changed"}}},
		{"a host that is not allowed", v1alpha1.EgressDeniedReason, "it stays so until somebody allows it", []Step{{Words: "do what the message above says. It is tried again once that is changed"}}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}}
			c.Spec.ProviderRef.Name = "xiaomi"
			c.Status.Conditions = []metav1.Condition{
				{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.TokenValidReason},
				{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionFalse, Reason: each.reason},
			}
			if diff := cmp.Diff(each.want, Next(c)); diff != "" {
				t.Errorf("(-want +got):\n%s\nreason: %s", diff, each.why)
			}
		})
	}
}
