// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package twins

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
)

func TestRelabelMarksAnewWhatIsNotUnderTheKey(t *testing.T) {
	t.Parallel()
	sent := sending(rotated(holding("G"), "G2"))
	plain := func(s *corev1.Secret) {
		delete(s.Labels, marks.LabelKey)
		s.Labels[marks.LabelLive], s.Labels[marks.LabelSeed] = plainMark("G2"), plainMark("G")
	}
	cases := map[string]struct {
		reason string
		change func(*corev1.Secret)
		marked bool
	}{
		"of the version before":    {"anybody could check a guess by them", plain, true},
		"under a key that is lost": {"they find no twin any more", func(s *corev1.Secret) { marks.Marks{Key: digest.Random()}.Label(s, sent) }, true},
		"of a damaged state":       {"what is left of it is marked", func(s *corev1.Secret) { plain(s); s.Data["sequence"] = []byte("x") }, true},
		"of a Secret of any type":  {"it is not the operator's", func(s *corev1.Secret) { plain(s); s.Type = corev1.SecretTypeOpaque }, false},
		"without the annotation":   {"it is not the operator's", func(s *corev1.Secret) { plain(s); s.Annotations = nil }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			kept := storeOf(api)
			saved(t, kept, shop, sent)
			right := maps.Clone(api.Secret(t, shop).Labels)
			api.Remake(t, shop, c.change)
			before := api.Secret(t, shop)
			pauses := 0
			relabel := func() int {
				found, err := kept.Relabel(t.Context(), func(context.Context) error { pauses++; return nil })
				api.Must(t, err)
				return found
			}
			found := relabel()
			after := api.Secret(t, shop)
			if diff := cmp.Diff(before.Data, after.Data); diff != "" {
				t.Errorf("the data is left alone, with its open attempt (-want +got):\n%s", diff)
			}
			if got := cmp.Equal(right, after.Labels); got != c.marked {
				t.Errorf("%s: the labels are %v", c.reason, after.Labels)
			}
			if (found == 1) != c.marked || pauses > 1 {
				t.Errorf("%d were found, with %d pauses", found, pauses)
			}
			if again := relabel(); again != 0 || api.Secret(t, shop).ResourceVersion != after.ResourceVersion {
				t.Errorf("what is marked is not written again: %d", again)
			}
		})
	}
}

func TestATwinIsFoundOnceItIsRelabelled(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	kept, lost := storeOf(api), storeUnder(api, digest.Random())
	api.Must(t, api.Create(t.Context(), other.DeepCopy()))
	saved(t, lost, other, holding("G"))
	own := saved(t, kept, shop, sending(holding("G")))
	if twin, err := kept.Older(t.Context(), own); twin != nil || err != nil {
		t.Fatalf("nothing says that the other one has the token: %v, %v", twin, err)
	}
	_, err := kept.Relabel(t.Context(), func(context.Context) error { return nil })
	api.Must(t, err)
	if twin, err := kept.Older(t.Context(), own); twin == nil || err != nil {
		t.Errorf("the duplicate is not found again: %v", err)
	}
}

func TestRelabelEndsWithItsContext(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	lost := storeUnder(api, digest.Random())
	saved(t, lost, shop, holding("G"))
	ended := errors.New("ended")
	if _, err := storeOf(api).Relabel(t.Context(), func(context.Context) error { return ended }); !errors.Is(err, ended) {
		t.Errorf("it goes on: %v", err)
	}
	if api.Secret(t, shop).Labels[marks.LabelKey] != lost.Key.Name() {
		t.Error("it was written without a pause")
	}
}
