// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// matrix are values that people install with; each must render to what an API server
// takes.
var matrix = map[string]string{
	"the defaults":    ``,
	"some namespaces": `namespaces: [team-a, team-b]`,
	"everything on": `
replicas: 3
podDisruptionBudget: {enabled: true}
networkPolicy: {enabled: true}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
tolerations: [{operator: Exists}]
nodeSelector: {disk: ssd}
imagePullSecrets: [{name: registry}]
podLabels: {team: platform}
podAnnotations: {note: "yes"}
commonLabels: {part: identity}
extraEnv: [{name: GODEBUG, value: tlsrsakex=1}]
extraArgs: [--zap-log-level=debug]
metrics: {port: 9443, serviceMonitor: {enabled: true, interval: 15s}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}
watchLabelSelector: shard in (a,b),!paused
maxConcurrentReconciles: 128
builtinProviders: [xiaomi, oauth2]
maxReplySize: 1Mi
credentialMetrics: false
egress: {allowHosts: ["*.example.com"], allowCIDRs: [10.1.0.0/16], denyCIDRs: ["fc00::/7"], allowPlainHTTP: ["localhost:8080"], extraCA: x}
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: arn}}
`,
	"everything off": `
crds: {enabled: false}
metrics: {enabled: false}
admissionPolicy: {enabled: false}
priorityClass: {create: false, name: system-cluster-critical}
rbac: {aggregate: false}
`,
	"names of its own": `
fullnameOverride: keeper
serviceAccount: {name: keeper}
priorityClass: {name: keeper}
`,
	"two replicas with a budget": `
replicas: 2
podDisruptionBudget: {enabled: true, maxUnavailable: 50%}
`,
}

// TestAnAPIServerTakesEveryObject has a real API server judge all that is installed, as a
// dry run, and the pod under the Pod Security Standard "restricted".
func TestAnAPIServerTakesEveryObject(t *testing.T) {
	t.Parallel()
	server := apiserver.NewClient(t)
	for _, name := range []string{namespace, "team-a", "team-b"} {
		made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
		if err := server.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, object := range mustRender(t, values) {
				takes(t, server, object)
			}
		})
	}
	t.Run("the installer", func(t *testing.T) {
		t.Parallel()
		for _, object := range installer(t) {
			takes(t, server, object)
		}
	})
}

func takes(t *testing.T, server client.Client, object *unstructured.Unstructured) {
	t.Helper()
	if object.GroupVersionKind().Group == "monitoring.coreos.com" {
		return // the Prometheus Operator's, which is not installed here
	}
	err := server.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.DryRunAll, client.FieldOwner("test"), client.ForceOwnership)
	if err != nil {
		t.Errorf("%s: %v", keyOf(object), err)
	}
	if object.GetKind() == "Deployment" {
		takesPod(t, server, object)
	}
}

// takesPod has the API server judge the pod, which it does not where it is in a
// Deployment. Its priority class is one that exists: the others are dry runs.
func takesPod(t *testing.T, server client.Client, deployment *unstructured.Unstructured) {
	t.Helper()
	template, _, _ := unstructured.NestedMap(deployment.Object, "spec", "template")
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(template, pod, true); err != nil {
		t.Error(err)
		return
	}
	pod.Name, pod.Namespace = "manager", deployment.GetNamespace()
	pod.Spec.PriorityClassName = "system-cluster-critical"
	if err := server.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Errorf("the pod of %s: %v", keyOf(deployment), err)
	}
}

// TestPodSecurityHasTeeth has a pod refused that asks for more.
func TestPodSecurityHasTeeth(t *testing.T) {
	t.Parallel()
	server := apiserver.NewClient(t)
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "teeth", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if err := server.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "root", Namespace: "teeth"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}},
	}
	if err := server.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("a pod that may run as root is not refused by Pod Security: %v", err)
	}
}
