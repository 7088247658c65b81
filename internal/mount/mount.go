// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mount says how pods use a Secret, and so when they see that it has changed. It
// is pure: it looks at pods that others have read.
package mount

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Use is how a pod uses a Secret; the slower way to see a change is the greater.
type Use int

// The ways to use a Secret.
const (
	Unused Use = iota
	// AsVolume is brought up to date by the kubelet.
	AsVolume
	// AsSubPath never is (https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath).
	AsSubPath
	// AsVariable is read when a container starts.
	AsVariable
)

// IsOver reports whether a pod has ended: it reads nothing any more.
func IsOver(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Of is the slowest way in which a pod uses a Secret.
func Of(pod *corev1.Pod, secret string) Use {
	use := Unused
	for _, container := range containersOf(pod) {
		for _, mounted := range container.VolumeMounts {
			if slices.Contains(secretsIn(pod, mounted.Name), secret) {
				use = max(use, useBy(mounted))
			}
		}
		if readsVariable(&container, secret) {
			use = AsVariable
		}
	}
	return use
}

// Followed are the Secrets whose changes some container of a pod sees in a volume, whatever
// else uses them.
func Followed(pod *corev1.Pod) []string {
	var followed []string
	for _, container := range containersOf(pod) {
		for _, mounted := range container.VolumeMounts {
			if useBy(mounted) == AsVolume {
				followed = append(followed, secretsIn(pod, mounted.Name)...)
			}
		}
	}
	slices.Sort(followed)
	return slices.Compact(followed)
}

func containersOf(pod *corev1.Pod) []corev1.Container {
	all := slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
	for _, ephemeral := range pod.Spec.EphemeralContainers {
		all = append(all, corev1.Container(ephemeral.EphemeralContainerCommon))
	}
	return all
}

func useBy(mounted corev1.VolumeMount) Use {
	if mounted.SubPath != "" || mounted.SubPathExpr != "" {
		return AsSubPath
	}
	return AsVolume
}

func readsVariable(container *corev1.Container, secret string) bool {
	return slices.ContainsFunc(container.Env, func(env corev1.EnvVar) bool {
		return env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil && env.ValueFrom.SecretKeyRef.Name == secret
	}) || slices.ContainsFunc(container.EnvFrom, func(from corev1.EnvFromSource) bool {
		return from.SecretRef != nil && from.SecretRef.Name == secret
	})
}

// secretsIn are the Secrets that a volume of a pod shows.
func secretsIn(pod *corev1.Pod, volume string) []string {
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume })
	if at < 0 {
		return nil
	}
	var secrets []string
	if secret := pod.Spec.Volumes[at].Secret; secret != nil {
		secrets = append(secrets, secret.SecretName)
	}
	if projected := pod.Spec.Volumes[at].Projected; projected != nil {
		for _, source := range projected.Sources {
			if source.Secret != nil {
				secrets = append(secrets, source.Secret.Name)
			}
		}
	}
	return secrets
}
