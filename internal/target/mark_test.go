// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func valid() token.Validity {
	return token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon}
}

func TestAMarkIsReadAsItWasEncoded(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		mark   Mark
		want   string
	}{
		"whole seconds": {
			"it is readable and compact",
			Mark{Validity: valid(), Source: "ab12", Requested: "9f3c", Set: "a:note+l:app", Digest: "01-02"},
			"issued=2026-11-22T11:00:00Z,expires=2026-11-22T12:00:00Z,source=ab12,requested=9f3c,set=a:note+l:app,digest=01-02",
		},
		"fractions": {
			"a time is kept as exactly as it is known",
			Mark{Validity: token.Validity{IssuedAt: noon.Add(-time.Nanosecond), ExpiresAt: noon}, Digest: "d"},
			"issued=2026-11-22T11:59:59.999999999Z,expires=2026-11-22T12:00:00Z,digest=d",
		},
		"separators in values": {
			"what a value holds does not end it",
			Mark{Validity: valid(), Source: "a,digest=x", Requested: "2026-11-22T12:00:00+01:00 %", Digest: "d"},
			"issued=2026-11-22T11:00:00Z,expires=2026-11-22T12:00:00Z,source=a%2Cdigest%3Dx,requested=2026-11-22T12:00:00+01:00 %25,digest=d",
		},
		"a token that ended before it was issued": {
			"a provider may say so, and it is no reason to forget it",
			Mark{Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(-time.Hour)}, Digest: "d"},
			"issued=2026-11-22T12:00:00Z,expires=2026-11-22T11:00:00Z,digest=d",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.mark.Encode(); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
			got, ok := ReadMark(map[string]string{MarkKey("1"): c.want}, "1")
			if diff := cmp.Diff(c.mark, got); diff != "" || !ok {
				t.Errorf("%s: read %t (-want +got):\n%s", c.reason, ok, diff)
			}
		})
	}
}

func TestReadMarkBearsGarbage(t *testing.T) {
	t.Parallel()
	good := Mark{Validity: valid(), Digest: "d"}.Encode()
	cases := map[string]struct {
		reason string
		uid    types.UID
		key    string
		value  string
		ok     bool
	}{
		"a good one":             {"the others differ from it in one thing", "1", "token.tokenkeeper.io/1", good, true},
		"a newer version's":      {"what is not known is ignored", "1", "token.tokenkeeper.io/1", good + ",more=1,flag", true},
		"another's":              {"a mark is one credential's", "1", "token.tokenkeeper.io/2", good, false},
		"nobody's":               {"a credential without a UID has no mark", "", "token.tokenkeeper.io/", good, false},
		"empty":                  {"it says nothing", "1", "token.tokenkeeper.io/1", "", false},
		"a word":                 {"it says nothing", "1", "token.tokenkeeper.io/1", "hello", false},
		"no expiry":              {"half a validity is none", "1", "token.tokenkeeper.io/1", "issued=2026-11-22T12:00:00Z,digest=d", false},
		"no digest":              {"nothing says which data it goes with", "1", "token.tokenkeeper.io/1", "issued=2026-11-22T12:00:00Z,expires=2026-11-22T12:00:00Z", false},
		"a time that is none":    {"nothing is guessed", "1", "token.tokenkeeper.io/1", good + ",expires=soon", false},
		"an escape that is none": {"nothing is guessed", "1", "token.tokenkeeper.io/1", good + ",source=%zz", false},
		"without end":            {"a mark is short", "1", "token.tokenkeeper.io/1", good + ",source=" + strings.Repeat("x", longestMark), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark, ok := ReadMark(map[string]string{c.key: c.value}, c.uid)
			if ok != c.ok || mark.IsZero() == c.ok {
				t.Errorf("%s: got %+v, %t, want %t", c.reason, mark, ok, c.ok)
			}
		})
	}
}

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
				mark.Digest = digestOf(s.Key, s.template, secret.Data, "another")
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
