// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestOfTwoTwinsOneIsOlderForBoth(t *testing.T) {
	t.Parallel()
	secret := func(created time.Time, uid types.UID) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(created), UID: uid}}
	}
	cases := map[string]struct {
		reason   string
		one, two *corev1.Secret
	}{
		"made one after the other":    {"the earlier is older", secret(noon, "b"), secret(noon.Add(time.Second), "a")},
		"made within the same second": {"the UID decides", secret(noon, "a"), secret(noon, "b")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meta := func(s *corev1.Secret) *metav1.PartialObjectMetadata {
				return &metav1.PartialObjectMetadata{ObjectMeta: s.ObjectMeta}
			}
			if !isOlder(meta(c.one), c.two) || isOlder(meta(c.two), c.one) || isOlder(meta(c.one), c.one) {
				t.Errorf("%s, and not otherwise", c.reason)
			}
		})
	}
}
