// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// longLifetime is a lifetime in which nothing is renewed by itself during a test.
const longLifetime = time.Hour

// TestAPodThatMountsTheTargetIsNeverRefused has a pod use the token from its volume over
// some lifetimes. A kubelet brings a changed Secret into a volume after up to a minute and
// a half, so a token must be renewed two minutes before it expires: with lifetimes of ten
// minutes that is the default, 80 %. Here lifetimes are shorter, and renewals as early.
func TestAPodThatMountsTheTargetIsNeverRefused(t *testing.T) {
	const margin = 2 * time.Minute // of 10 min at 80 %
	lifetimes, of, percentage := 5, 4*time.Minute, int32(50)
	if testing.Short() {
		lifetimes, of, percentage = 1, 150*time.Second, 20 // renewed after 30 s
	}
	install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	lifetime(t, of)
	newCredential(t, "team-a", "shop", func(c *v1alpha1.TokenCredential) { c.Spec.Renewal.Percentage = percentage })
	awaitReady(t, "team-a", "shop")
	runConsumer(t, "team-a", "consumer", "shop-token")

	renewal := of * time.Duration(percentage) / 100
	if of-renewal < margin {
		t.Fatalf("renewed %s before the end, which is later than a kubelet may need", of-renewal)
	}
	eventually(t, time.Duration(lifetimes)*renewal+margin+patience, "the pod uses each token", func() error {
		if got := len(env.api.of("consumer").tokens); got <= lifetimes {
			return fmt.Errorf("it has used %d of %d", got, lifetimes+1)
		}
		return nil
	})
	calls := env.api.of("consumer")
	if calls.refused > 0 {
		t.Errorf("%d of %d calls were refused, the first at %v: a token came too late into the pod", calls.refused, calls.accepted+calls.refused, calls.refusals)
	}
	report(t, "calls with a mounted token that were refused", "%d of %d, over %d tokens", calls.refused, calls.accepted+calls.refused, len(calls.tokens))
	report(t, "from the provider's reply to the first call of the pod, without a nudge", "%s", summary(calls.delays[1:]))
}

// TestANudgedPodSeesATokenWithinSeconds has tokens of a minute reach the pods that mount
// them in time, at the cost of one patch for each pod and token. A pod of another namespace
// that mounts a Secret of the same name is left alone, and nothing is restarted.
func TestANudgedPodSeesATokenWithinSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten minutes")
	}
	const goal, renewals, of, before = 3 * time.Second, 10, time.Minute, 20 * time.Second
	install(t, fromChartWith(map[string]any{"nudgePods": map[string]any{"enabled": true}}), 1)
	newNamespace(t, "team-a")
	newNamespace(t, "team-b")
	lifetime(t, of)
	newCredential(t, "team-a", "shop", func(c *v1alpha1.TokenCredential) {
		c.Spec.Target.NudgePods = true
		c.Spec.Renewal.Before = &v1alpha1.Duration{Duration: metav1.Duration{Duration: before}}
	})
	awaitReady(t, "team-a", "shop")
	nudged := runConsumer(t, "team-a", "nudged", "shop-token")
	must(t, env.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "shop-token"},
		Data: secret(t, "team-a", "shop-token").Data}))
	other := runConsumer(t, "team-b", "other", "shop-token")
	_, audited := readAudit(t, 0)
	seen := len(env.api.of("nudged").tokens)

	eventually(t, renewals*of+patience, "the pod uses each token", func() error {
		if got := len(env.api.of("nudged").tokens) - seen; got < renewals {
			return fmt.Errorf("it has used %d of %d", got, renewals)
		}
		return nil
	})
	calls := env.api.of("nudged")
	if calls.refused > 0 {
		t.Errorf("%d of %d calls were refused, the first at %v", calls.refused, calls.accepted+calls.refused, calls.refusals)
	}
	if p95 := percentile(calls.delays[seen:], 0.95); p95 > goal {
		t.Errorf("a token takes %s into a pod, more than %s", p95, goal)
	}
	report(t, "calls of the nudged pod that were refused", "%d of %d, over %d tokens of %s", calls.refused, calls.accepted+calls.refused, len(calls.tokens), of)
	report(t, "from the provider's reply to the first call of the pod, with a nudge", "%s", summary(calls.delays[seen:]))
	patches := 0
	requests, _ := readAudit(t, audited)
	for _, each := range requests {
		if each.Verb == "patch" && each.ObjectRef.Resource == "pods" {
			patches++
			if each.ObjectRef.Namespace != "team-a" {
				t.Errorf("a pod of namespace %s was patched", each.ObjectRef.Namespace)
			}
		}
	}
	if env.node != "" && patches > renewals+1 {
		t.Errorf("%d patches of pods for %d tokens and one pod", patches, renewals)
	}
	for _, pod := range []*corev1.Pod{nudged, other} {
		must(t, env.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
		if s := pod.Status.ContainerStatuses[0]; s.RestartCount > 0 {
			t.Errorf("the container of %s was restarted: %v", pod.Name, s.LastTerminationState)
		}
	}
}

// runConsumer starts a pod that mounts a Secret and calls the API with the token in it,
// under its own name, and waits until it does.
func runConsumer(t *testing.T, namespace, name, secret string, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(2)),
			AutomountServiceAccountToken:  new(false),
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "consumer", Image: env.consumer, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{"--api=" + env.api.url + "/" + name},
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
				VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: "/token", ReadOnly: true}},
			}},
			Volumes: []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
		},
	}
	for _, each := range change {
		each(pod)
	}
	eventually(t, patience, "there is a pod "+name, func() error { return env.Create(t.Context(), pod) })
	t.Cleanup(func() {
		ctx, cancel := background()
		defer cancel()
		_ = client.IgnoreNotFound(env.Delete(ctx, pod))
	})
	eventually(t, patience, "pod "+name+" calls the API", func() error {
		if env.api.of(name).accepted > 0 {
			return nil
		}
		if err := env.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		return fmt.Errorf("it is %s: %v", pod.Status.Phase, pod.Status.ContainerStatuses)
	})
	return pod
}
