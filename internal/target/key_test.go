// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// unkeyed gives a target the mark that the version before wrote.
func (s *scene) unkeyed(policy v1alpha1.CreationPolicy) {
	s.Helper()
	s.change(fieldManager(s.credential), func(secret *corev1.Secret) {
		mark, _ := ReadMark(secret.Annotations, s.credential.UID)
		data := secret.Data
		if policy == v1alpha1.MergePolicy {
			data = ownData(s.credential, s.template, secret)
		}
		mark.Digest = s.template.Shape() + "-" + render.DataDigest(data)
		secret.Annotations[MarkKey(s.credential.UID)] = mark.Encode()
	})
}

func TestAMarkIsComparedUnderEachKey(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason                string
		before                func(s *scene, policy v1alpha1.CreationPolicy)
		asWritten, ifTampered bool
	}{
		"under the key": {"it tells whether the data is as it was written", func(*scene, v1alpha1.CreationPolicy) {}, true, false},
		"in plain":      {"the version before wrote it", (*scene).unkeyed, true, false},
		"under a key that is lost": {
			"nothing can be compared, and no provider is asked for that alone", func(s *scene, _ v1alpha1.CreationPolicy) { s.Key = digest.Random() }, true, true,
		},
		"of another credential": {"a digest tells nothing but in its place", func(s *scene, _ v1alpha1.CreationPolicy) {
			s.change("somebody", func(secret *corev1.Secret) {
				mark, _ := ReadMark(secret.Annotations, s.credential.UID)
				mark.Digest = s.digest(s.template, secret.Data, "another")
				secret.Annotations[MarkKey(s.credential.UID)] = mark.Encode()
			})
		}, false, false},
	}
	for name, c := range cases {
		for _, policy := range both {
			t.Run(name+" with "+string(policy), func(t *testing.T) {
				t.Parallel()
				s, _ := begin(t, policy, nil)
				c.before(s, policy)
				if got := s.inspect("another").Holds; got != c.asWritten {
					t.Errorf("Holds is %t: %s", got, c.reason)
				}
				s.change("somebody", func(secret *corev1.Secret) { secret.Data["access_token"] = []byte("theirs") })
				if got := s.inspect("another").Holds; got != c.ifTampered {
					t.Errorf("Holds is %t after a change: %s", got, c.reason)
				}
			})
		}
	}
}

func TestAMarkInPlainIsKeyedWithoutItsData(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			keyed := s.live().Annotations[MarkKey(s.credential.UID)]
			if HasPlainMark(s.cached()) {
				t.Error("what is written is keyed")
			}
			s.unkeyed(policy)
			if strings.Contains(s.live().Annotations[MarkKey(s.credential.UID)], key.Name()) {
				t.Fatal("the test plants no mark in plain")
			}
			cached, before, reads := s.cached(), s.live(), s.calls["get"]
			if !HasPlainMark(cached) {
				t.Fatal("the mark in plain is not found")
			}
			if err := s.Rekey(t.Context(), cached); err != nil {
				t.Fatal(err)
			}
			if s.calls["get"] != reads {
				t.Error("the data is read for it")
			}
			after := s.live()
			if got := after.Annotations[MarkKey(s.credential.UID)]; got != keyed {
				t.Errorf("the mark is %q, want %q", got, keyed)
			}
			if diff := cmp.Diff(before.Data, after.Data); diff != "" {
				t.Errorf("the data is changed (-want +got):\n%s", diff)
			}
			if again := s.inspect(view.ResourceVersion); state(again) != written || len(again.Contested) > 0 {
				t.Errorf("the target is as it was written: got %+v", again)
			}
			if err := s.Rekey(t.Context(), cached); err != nil {
				t.Errorf("a Secret that has changed meanwhile is left alone: %v", err)
			}
		})
	}
}

func TestAllPlainMarksOfASecretAreKeyed(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, v1alpha1.MergePolicy, nil)
	s.unkeyed(v1alpha1.MergePolicy)
	s.change("another", func(secret *corev1.Secret) {
		secret.Annotations[MarkKey("uid-2")] = secret.Annotations[MarkKey(s.credential.UID)]
	})
	if err := s.Rekey(t.Context(), s.cached()); err != nil {
		t.Fatal(err)
	}
	annotations := s.live().Annotations
	if HasPlainMark(s.cached()) || annotations[MarkKey("uid-2")] == annotations[MarkKey(s.credential.UID)] {
		t.Errorf("each has a digest of its own: %v", annotations)
	}
}
