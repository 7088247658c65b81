// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// What would keep a token from its target is found before a token is asked for.
func TestARefusedTargetIsFoundBeforeAnythingIsSpent(t *testing.T) {
	t.Parallel()
	survive(t, []fault{
		{
			name: "a template key", shows: []string{"a template key that the API server refuses"},
			promise: "nothing is spent; the message names the field",
			play: func(w *world) {
				template := func(key string) func(*v1alpha1.TokenCredentialSpec) {
					return func(spec *v1alpha1.TokenCredentialSpec) {
						spec.Target.Template = &v1alpha1.TargetTemplate{Data: map[string]string{key: "${accessToken}"}}
					}
				}
				w.refusesTarget(v1alpha1.InvalidParametersReason, []string{"..token", "spec.target.template"}, template("..token"))
				w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { template("token")(&c.Spec) })
				w.awaitFresh(xiaomi)
			},
		},
		{
			name: "annotations of the template", shows: []string{"annotations beyond what the API server takes"},
			promise: "nothing is spent; the message names them",
			play: func(w *world) {
				w.refusesTarget(v1alpha1.InvalidParametersReason, []string{"annotations"}, func(spec *v1alpha1.TokenCredentialSpec) {
					spec.Target.Template = &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Annotations: map[string]string{"note": strings.Repeat("x", 270<<10)}}}
				})
				w.edit(xiaomi, func(c *v1alpha1.TokenCredential) { c.Spec.Target.Template = nil })
				w.awaitFresh(xiaomi)
			},
		},
		{
			name: "annotations of others", shows: []string{"annotations beyond what the API server takes"},
			promise: "nothing is spent; the message names them",
			play: func(w *world) {
				w.secret("shared", map[string]string{"theirs": "x"})
				w.changeSecret("shared", func(s *corev1.Secret) {
					metav1.SetMetaDataAnnotation(&s.ObjectMeta, "note", strings.Repeat("x", 256<<10-100))
				})
				w.refusesTarget(v1alpha1.TargetConflictReason, []string{`the annotations of the target Secret "shared"`, "remove some"}, func(spec *v1alpha1.TokenCredentialSpec) {
					spec.Target = v1alpha1.Target{Name: "shared", CreationPolicy: v1alpha1.MergePolicy}
				})
				w.changeSecret("shared", func(s *corev1.Secret) { delete(s.Annotations, "note") })
				w.awaitFresh(xiaomi)
			},
		},
		{
			name: "a quota", shows: []string{"a quota that leaves no room for the target"},
			promise: "room for the state and none for the target is found before the seed is sent",
			play: func(w *world) {
				quota := w.fewSecrets("3") // those of the user, and the state
				w.refusesTarget(v1alpha1.PersistBlockedReason, []string{`the target Secret "xiaomi-token"`, `the ResourceQuota "few" is used up`})
				must(w.t, w.Delete(w.t.Context(), quota))
				w.wake()
				w.awaitRefreshes(xiaomi, 1)
				w.keptAndFresh()
			},
		},
		{
			name: "a policy", shows: []string{"a policy that denies the target"},
			promise: "nothing is spent; the message names the policy",
			play: func(w *world) {
				lift := w.denySecret(xiaomi + "-token")
				w.refusesTarget(v1alpha1.PersistBlockedReason, []string{`the ValidatingAdmissionPolicy "` + w.namespace + `" denied it`, "spec.target.template"})
				lift()
				w.wake()
				w.awaitRefreshes(xiaomi, 1)
				w.keptAndFresh()
			},
		},
	})
}

// refusesTarget creates the credential, and checks that it is told why its target
// cannot be, before anything is spent.
func (w *world) refusesTarget(reason string, says []string, change ...func(*v1alpha1.TokenCredentialSpec)) {
	w.t.Helper()
	builtInNamed(w.t, xiaomi).create(w, change...)
	w.start()
	w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionFalse, reason)
	c, refreshed := w.awaitCondition(xiaomi, v1alpha1.RefreshedCondition, metav1.ConditionFalse, reason)
	for _, part := range says {
		if !strings.Contains(refreshed.Message, part) {
			w.t.Errorf("the message does not say %q: %s", part, refreshed.Message)
		}
	}
	if calls := w.calls(); calls != 0 {
		w.t.Errorf("the provider got %d calls, want none:\n%s", calls, describe(c))
	}
}

// fewSecrets lets the namespace have so many Secrets and no more.
func (w *world) fewSecrets(most string) *corev1.ResourceQuota {
	w.t.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "few"}}
	quota.Spec.Hard = corev1.ResourceList{"count/secrets": resource.MustParse(most)}
	must(w.t, w.Create(w.t.Context(), quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"count/secrets": resource.MustParse("0")}}
	must(w.t, w.Status().Update(w.t.Context(), quota))
	return quota
}

// denySecret has a policy of the cluster deny a Secret of the namespace, until it is
// lifted.
func (w *world) denySecret(name string) (lift func()) {
	w.t.Helper()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: `object.metadata.name != "` + name + `"`}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: w.namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace},
			}},
		},
	}
	must(w.t, w.Create(w.t.Context(), policy))
	must(w.t, w.Create(w.t.Context(), binding))
	remove := func() {
		for _, object := range []client.Object{binding, policy} {
			must(w.t, client.IgnoreNotFound(w.Delete(context.Background(), object)))
		}
	}
	w.t.Cleanup(remove)
	denied := func() bool {
		trial := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
		return apierrors.IsInvalid(w.Create(w.t.Context(), trial, client.DryRunAll)) || apierrors.IsForbidden(w.Create(w.t.Context(), trial, client.DryRunAll))
	}
	if !w.eventually(denied) {
		w.t.Fatal("the policy denies nothing")
	}
	return func() {
		remove()
		if !w.eventually(func() bool { return !denied() }) {
			w.t.Fatal("the policy that is gone still denies")
		}
	}
}

func TestValuesOfANewerCRD(t *testing.T) {
	t.Parallel()
	newer := func(name, says string, change, back func(spec map[string]any)) fault {
		return fault{
			name: name, shows: []string{"values of a newer CRD that this operator does not know"},
			promise: "it is told, not guessed; nobody is called until it is put back",
			play: func(w *world) {
				smuggle := func(change func(spec map[string]any)) {
					must(w.t, apiserver.Smuggle(w.t.Context(), "tokenkeeper.io/tokencredentials/"+w.namespace+"/"+xiaomi, func(object map[string]any) {
						change(object["spec"].(map[string]any))
					}))
				}
				builtInNamed(w.t, xiaomi).create(w)
				smuggle(change)
				operator := w.start()
				w.stalls(v1alpha1.InvalidParametersReason, says, "upgrade the operator")
				if calls := w.calls(); calls != 0 {
					w.t.Errorf("the provider got %d calls, want none", calls)
				}
				operator.shutDown()
				smuggle(back)
				w.start()
				w.awaitRefreshes(xiaomi, 1)
				w.kept(simulator.DemoXiaomiGrant, 0)
			},
		}
	}
	survive(t, []fault{
		newer("providerRef.kind", `"Remote"`,
			func(spec map[string]any) { spec["providerRef"].(map[string]any)["kind"] = "Remote" },
			func(spec map[string]any) { spec["providerRef"].(map[string]any)["kind"] = "BuiltIn" }),
		newer("creationPolicy", `"Adopt"`,
			func(spec map[string]any) { spec["target"].(map[string]any)["creationPolicy"] = "Adopt" },
			func(spec map[string]any) { spec["target"].(map[string]any)["creationPolicy"] = "Owner" }),
	})
}
