// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestWhichPodsAreDue(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	nudgedAt := func(value string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, v1alpha1.NudgedAtAnnotation, value)
		}
	}
	madeAt := func(at time.Time) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.CreationTimestamp = metav1.NewTime(at) }
	}
	for _, each := range []struct {
		name, reason string
		change       func(*corev1.Pod)
		want         bool
	}{
		{"a running pod", "it mounts the Secret", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodRunning }, true},
		{"a pod whose init containers run", "its volumes may hold the old token", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodPending }, true},
		{"a pod that succeeded", "it reads nothing any more", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodSucceeded }, false},
		{"a pod that failed", "it reads nothing any more", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }, false},
		{"a pod that is being deleted", "it is left alone", func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: noon} }, false},
		{"a subPath", "it would not see the change", func(pod *corev1.Pod) { pod.Spec.Containers[0].VolumeMounts[0].SubPath = "access_token" }, false},
		{"a variable alone", "it would not see the change", func(pod *corev1.Pod) {
			pod.Spec = corev1.PodSpec{Containers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "shop"}}}}}}}
		}, false},
		{"a pod that was nudged for the token before", "there is a new one", nudgedAt("2026-11-22T11:59:59.9Z"), true},
		{"a pod that was nudged since", "once for each token", nudgedAt("2026-11-22T12:00:00.1Z"), false},
		{"a pod that was nudged at a time that has not come", "a clock was wrong, or somebody wrote it", nudgedAt("2026-11-22T13:00:00Z"), true},
		{"a pod whose annotation is no time", "somebody wrote it", nudgedAt("soon"), true},
		{"a pod that was made just after the token", "it may have been made before, by another clock", madeAt(noon.Add(5 * time.Second)), true},
		{"a pod that was made well after the token", "its kubelet fetched that token", madeAt(noon.Add(time.Minute)), false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			pod := mounting("a", "web", "shop", each.change)
			if got := isDue(pod, map[string]time.Time{"shop": noon}, noon.Add(2*time.Minute)); got != each.want {
				t.Errorf("due: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}
