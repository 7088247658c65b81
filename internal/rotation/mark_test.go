// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
)

func TestTheLabelsOfAState(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	store := api.store()
	mark := func(name string) string { return store.mark(text(name).Digest()) }
	grown := rotated(holding("G"), "G2")
	cases := map[string]struct {
		reason     string
		state      State
		live, seed string
	}{
		"a seed":              {"it is both", holding("G"), "G", "G"},
		"a seed that rotated": {"the seed is spent, its successor live", grown, "G2", "G"},
		"a seed over another": {"the grant before may return", grown.Adopt(text("W")), "W", "G"},
		"an undone seed":      {"it is as before", adopting(grown, "W", "G"), "G2", "G"},
	}
	for name, c := range cases {
		stored := newSecret(shop)
		stored.Labels[labelPrefix+plainMark("G")] = "live" // of an earlier version
		store.label(stored, c.state)
		want := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, labelKey: key.Name(), labelLive: mark(c.live), labelSeed: mark(c.seed)}
		if diff := cmp.Diff(want, stored.Labels); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, c.reason, diff)
		}
	}
}

// plainMark is what earlier versions wrote: keyed with what everybody may know.
func plainMark(name string) string {
	mac := hmac.New(sha256.New, []byte("cluster"))
	mac.Write([]byte(text(name).Digest()))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func TestRelabelMarksAnewWhatIsNotUnderTheKey(t *testing.T) {
	t.Parallel()
	sent := sending(rotated(holding("G"), "G2"))
	plain := func(s *corev1.Secret) {
		delete(s.Labels, labelKey)
		s.Labels[labelLive], s.Labels[labelSeed] = plainMark("G2"), plainMark("G")
	}
	cases := map[string]struct {
		reason string
		change func(*corev1.Secret)
		marked bool
	}{
		"of the version before":    {"anybody could check a guess by them", plain, true},
		"under a key that is lost": {"they find no twin any more", func(s *corev1.Secret) { (&Store{Key: digest.Random()}).label(s, sent) }, true},
		"of a damaged state":       {"what is left of it is marked", func(s *corev1.Secret) { plain(s); s.Data[keySequence] = []byte("x") }, true},
		"of a Secret of any type":  {"it is not the operator's", func(s *corev1.Secret) { plain(s); s.Type = corev1.SecretTypeOpaque }, false},
		"without the annotation":   {"it is not the operator's", func(s *corev1.Secret) { plain(s); s.Annotations = nil }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			store := api.store()
			saved(t, store, shop, sent)
			right := maps.Clone(api.secret(t, shop).Labels)
			api.remake(t, shop, c.change)
			before := api.secret(t, shop)
			pauses := 0
			relabel := func() int {
				found, err := store.Relabel(t.Context(), func(context.Context) error { pauses++; return nil })
				api.must(t, err)
				return found
			}
			found := relabel()
			after := api.secret(t, shop)
			if diff := cmp.Diff(before.Data, after.Data); diff != "" {
				t.Errorf("the data is left alone, with its open attempt (-want +got):\n%s", diff)
			}
			if got := cmp.Equal(right, after.Labels); got != c.marked {
				t.Errorf("%s: the labels are %v", c.reason, after.Labels)
			}
			if (found == 1) != c.marked || pauses > 1 {
				t.Errorf("%d were found, with %d pauses", found, pauses)
			}
			if again := relabel(); again != 0 || api.secret(t, shop).ResourceVersion != after.ResourceVersion {
				t.Errorf("what is marked is not written again: %d", again)
			}
		})
	}
}

func TestATwinIsFoundOnceItIsRelabelled(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	store, lost := api.store(), api.store()
	lost.Key = digest.Random()
	api.must(t, api.Create(t.Context(), other.DeepCopy()))
	saved(t, lost, other, holding("G"))
	own := saved(t, store, shop, sending(holding("G")))
	if twin, err := store.OlderTwin(t.Context(), own); twin != nil || err != nil {
		t.Fatalf("nothing says that the other one has the token: %v, %v", twin, err)
	}
	_, err := store.Relabel(t.Context(), func(context.Context) error { return nil })
	api.must(t, err)
	if twin, err := store.OlderTwin(t.Context(), own); twin == nil || err != nil {
		t.Errorf("the duplicate is not found again: %v", err)
	}
}

func TestRelabelEndsWithItsContext(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	lost := api.store()
	lost.Key = digest.Random()
	saved(t, lost, shop, holding("G"))
	ended := errors.New("ended")
	if _, err := api.store().Relabel(t.Context(), func(context.Context) error { return ended }); !errors.Is(err, ended) {
		t.Errorf("it goes on: %v", err)
	}
	if api.secret(t, shop).Labels[labelKey] != lost.Key.Name() {
		t.Error("it was written without a pause")
	}
}
