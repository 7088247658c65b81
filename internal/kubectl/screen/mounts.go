// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
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

// MountsOf are the pods that use a Secret which was last changed at a moment.
func MountsOf(pods []corev1.Pod, secret string, changed, now time.Time) []Mount {
	var mounts []Mount
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		if how := useOf(pod, secret); how != unused {
			mounts = append(mounts, mountOf(pod, how, changed, now))
		}
	}
	return mounts
}

// use is how a pod uses a Secret, the slower way to see a change last.
type use int

const (
	unused use = iota
	asVolume
	asSubPath
	asVariable
)

func mountOf(pod *corev1.Pod, how use, changed, now time.Time) Mount {
	mount := Mount{Pod: pod.Name}
	started := startOf(pod)
	isLater := !started.IsZero() && started.After(changed)
	switch {
	case started.IsZero():
		mount.Says = "has not started: it will see the token that is there then"
	case isLater:
		mount.SeesCurrent, mount.Says = true, "started with the current token"
	case how == asVolume:
		left := changed.Add(kubeletDelay).Sub(now)
		mount.SeesCurrent, mount.Says = left <= 0, "sees the current token in its volume"
		if left > 0 {
			mount.Says = fmt.Sprintf("sees the current token within %s, when the kubelet brings it into its volume", duration.HumanDuration(left))
		}
	case how == asSubPath:
		mount.Says = "does not see it before a restart: a volume with subPath is never brought up to date"
	case how == asVariable:
		mount.Says = "does not see it before a restart: environment variables are read once"
	}
	return mount
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

// useOf is the slowest way in which a pod uses a Secret.
func useOf(pod *corev1.Pod, secret string) use {
	how := unused
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		how = max(how, useByContainer(&container, volumesOf(pod, secret), secret))
	}
	return how
}

func useByContainer(container *corev1.Container, volumes []string, secret string) use {
	how := unused
	for _, mount := range container.VolumeMounts {
		switch {
		case !slices.Contains(volumes, mount.Name):
		case mount.SubPath != "" || mount.SubPathExpr != "":
			how = max(how, asSubPath)
		default:
			how = max(how, asVolume)
		}
	}
	for _, env := range container.Env {
		if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil && env.ValueFrom.SecretKeyRef.Name == secret {
			how = asVariable
		}
	}
	for _, from := range container.EnvFrom {
		if from.SecretRef != nil && from.SecretRef.Name == secret {
			how = asVariable
		}
	}
	return how
}

// volumesOf are the names of a pod's volumes that hold a Secret.
func volumesOf(pod *corev1.Pod, secret string) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		holds := volume.Secret != nil && volume.Secret.SecretName == secret
		if volume.Projected != nil {
			holds = slices.ContainsFunc(volume.Projected.Sources, func(source corev1.VolumeProjection) bool {
				return source.Secret != nil && source.Secret.Name == secret
			})
		}
		if holds {
			names = append(names, volume.Name)
		}
	}
	return names
}
