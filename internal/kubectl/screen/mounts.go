// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/mount"
)

// Mount is a pod that uses the target, and whether it sees the current token.
type Mount struct {
	Pod         string
	SeesCurrent bool
	// Says how it uses the target, and when it sees a change.
	Says string
}

// kubeletDelay is how long a kubelet takes at most to bring a changed Secret into a volume:
// its sync period of a minute, and its cache's half a minute
// (https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod).
const kubeletDelay = 90 * time.Second

// nudgeDelay is how long it takes once the operator has nudged the pod (target.nudgePods).
const nudgeDelay = 3 * time.Second

// MountsOf are the pods that use a Secret which was last changed at a moment.
func MountsOf(pods []corev1.Pod, secret string, changed, now time.Time) []Mount {
	var mounts []Mount
	for i := range pods {
		pod := &pods[i]
		if mount.IsOver(pod) {
			continue
		}
		if how := mount.Of(pod, secret); how != mount.Unused {
			mounts = append(mounts, mountOf(pod, how, changed, now))
		}
	}
	return mounts
}

func mountOf(pod *corev1.Pod, how mount.Use, changed, now time.Time) Mount {
	m := Mount{Pod: pod.Name}
	started := startOf(pod)
	isLater := !started.IsZero() && started.After(changed)
	switch {
	case started.IsZero():
		m.Says = "has not started: it will see the token that is there then"
	case isLater:
		m.SeesCurrent, m.Says = true, "started with the current token"
	case how == mount.AsVolume:
		left := arrivalOf(pod, changed).Sub(now)
		m.SeesCurrent, m.Says = left <= 0, "sees the current token in its volume"
		if left > 0 {
			m.Says = fmt.Sprintf("sees the current token within %s, when the kubelet brings it into its volume", duration.HumanDuration(left))
		}
	case how == mount.AsSubPath:
		m.Says = "does not see it before a restart: a volume with subPath is never brought up to date"
	case how == mount.AsVariable:
		m.Says = "does not see it before a restart: environment variables are read once"
	}
	return m
}

// arrivalOf is when a change of a Secret has come into a pod's volume at the latest.
func arrivalOf(pod *corev1.Pod, changed time.Time) time.Time {
	nudged, err := time.Parse(time.RFC3339Nano, pod.Annotations[v1alpha1.NudgedAtAnnotation])
	if err == nil && !nudged.Before(changed) && nudged.Before(changed.Add(kubeletDelay-nudgeDelay)) {
		return nudged.Add(nudgeDelay)
	}
	return changed.Add(kubeletDelay)
}

// startOf is when a pod's containers last started; zero where one has not.
func startOf(pod *corev1.Pod) time.Time {
	var first time.Time
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil {
			return time.Time{}
		}
		if at := status.State.Running.StartedAt.Time; first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}
