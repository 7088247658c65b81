// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/mount"
)

// young is how long after a token a pod must have been made for its kubelet to have
// fetched that token, with room for clocks that differ.
const young = 30 * time.Second

// isDue reports whether a pod is to be nudged, since it mounts one of the Secrets that were
// published, by the moment when. It was nudged before if it bears a later moment.
func isDue(pod *corev1.Pod, published map[string]time.Time, now time.Time) bool {
	if mount.IsOver(pod) || pod.DeletionTimestamp != nil {
		return false
	}
	nudged := nudgedAt(pod, now)
	for _, secret := range mount.Followed(pod) {
		at, isPublished := published[secret]
		if isPublished && nudged.Before(at) && pod.CreationTimestamp.Time.Before(at.Add(young)) {
			return true
		}
	}
	return false
}

// nudgedAt is when a pod was nudged last, as it says; zero: never, or at a time that has
// not come.
func nudgedAt(pod *corev1.Pod, now time.Time) time.Time {
	at, err := time.Parse(time.RFC3339Nano, pod.Annotations[v1alpha1.NudgedAtAnnotation])
	if err != nil || at.After(now) {
		return time.Time{}
	}
	return at
}
