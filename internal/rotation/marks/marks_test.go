// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package marks

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/test/states"
)

func TestOpenAttempt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		change  func(*corev1.Secret)
		open    bool
		started time.Time
	}{
		"an attempt":         {"it is open", func(*corev1.Secret) {}, true, noon},
		"no attempt":         {"nothing is claimed", func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AttemptAnnotation) }, false, time.Time{}},
		"a damaged one":      {"it is open all the same", func(s *corev1.Secret) { s.Annotations[v1alpha1.AttemptAnnotation] = "x" }, true, time.Time{}},
		"on a user's Secret": {"anyone may write an annotation", func(s *corev1.Secret) { s.Name = "shop" }, false, time.Time{}},
		"of no credential":   {"anyone may write an annotation", func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.CredentialAnnotation) }, false, time.Time{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metadata := secretOf(nil)
			metadata.Annotations[v1alpha1.AttemptAnnotation] = noon.Format(time.RFC3339)
			c.change(metadata)
			if started, open := OpenAttempt(metadata); open != c.open || !started.Equal(c.started) {
				t.Errorf("%s: open %t, started %s", c.reason, open, started)
			}
		})
	}
}

func TestTheLabelsOfAState(t *testing.T) {
	t.Parallel()
	marks := Marks{Key: key, Cluster: "cluster"}
	mark := func(name string) string { return marks.Of(text(name).Digest()) }
	grown := rotated(holding("G"), "G2")
	cases := map[string]struct {
		reason     string
		state      rotation.State
		live, seed string
	}{
		"a seed":              {"it is both", holding("G"), "G", "G"},
		"a seed that rotated": {"the seed is spent, its successor live", grown, "G2", "G"},
		"a seed over another": {"the grant before may return", grown.Adopt(text("W")), "W", "G"},
		"an undone seed":      {"it is as before", adopting(grown, "W", "G"), "G2", "G"},
	}
	for name, c := range cases {
		stored := secretOf(map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, LabelPrefix + states.PlainMark("G"): "live"}) // of an earlier version
		marks.Label(stored, c.state)
		want := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, LabelKey: key.Name(), LabelLive: mark(c.live), LabelSeed: mark(c.seed)}
		if diff := cmp.Diff(want, stored.Labels); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, c.reason, diff)
		}
	}
}

func secretOf(labels map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: "shop-token-state", Labels: labels, Annotations: map[string]string{v1alpha1.CredentialAnnotation: "shop"},
	}}
}
