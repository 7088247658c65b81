// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
)

// pastAll is a revision beyond those of the scene's cluster.
const pastAll = "999999999"

// rememberMore has the scene's process know the cluster at a revision beyond all that
// it is at, as one does before whose eyes etcd is put back.
func (s *scene) rememberMore() {
	s.Helper()
	known, err := horizon.Open(s.spool, "cluster")
	if err != nil {
		s.Fatal(err)
	}
	if _, err := known.Passed("", pastAll); err != nil {
		s.Fatal(err)
	}
	s.Horizon = known
}

func TestAClusterThatWasPutBackHoldsItsTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		restarted bool // after the cluster was put back, in the same pod
	}{
		{"under a living process", false},
		{"and another process in the same pod", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second), rotates(third))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.rememberMore()
			if c.restarted {
				s.start(singleUse, "two")
				s.rememberMore()
			}

			if _, err := s.renew(t.Context()); !problem.Is(err, v1alpha1.RestoredFromBackupReason) {
				t.Fatalf("got %v, want it held: the write of the claim shows that the cluster has gone back", err)
			}
			if calls := len(s.provider.calls); calls != 1 {
				t.Errorf("the provider got %d calls, want 1: the token may have been sent before", calls)
			}
			for _, process := range []string{"two", "three"} {
				s.start(singleUse, process) // with a horizon that knows nothing: the state itself says so
				if record, err := s.Recover(t.Context(), s.credential); err != nil || !record.Copied || record.State.Attempt != nil {
					t.Errorf("process %s: the state counts as a copy: %t, its attempt is %v (%v)", process, record.Copied, record.State.Attempt, err)
				}
			}
			s.isBalanced()
		})
	}
}

func TestAPersonsWordFreesARestoredState(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(rotates(second), rotates(third))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	hold := func() {
		s.Helper()
		s.rememberMore()
		if _, err := s.renew(t.Context()); !problem.Is(err, v1alpha1.RestoredFromBackupReason) {
			t.Fatalf("got %v, want it held", err)
		}
		s.Horizon = nil
	}
	isCopy := func() bool {
		s.Helper()
		record, err := s.Recover(t.Context(), s.credential)
		if err != nil {
			t.Fatal(err)
		}
		return record.Copied
	}
	hold()
	s.credential.Annotations = map[string]string{v1alpha1.TrustRestoredAnnotation: "the provider's log shows no use"}
	if isCopy() {
		t.Fatal("it is held although a person says that the token was not used")
	}
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.stored().RefreshToken.Reveal(); got != third || isCopy() {
		t.Fatalf("the state holds %q, want the successor of the token that was trusted", got)
	}
	s.credential.Annotations = nil
	hold()
	s.credential.Annotations = map[string]string{v1alpha1.TrustRestoredAnnotation: "the provider's log shows no use"}
	if !isCopy() {
		t.Error("an old word counts for a second restore, of which it says nothing")
	}
	s.credential.Annotations[v1alpha1.TrustRestoredAnnotation] = "nor since"
	if isCopy() {
		t.Error("a new word does not count")
	}
}

func TestWhatWasPutBackIsKnownByItsRevision(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(rotates(second))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.rememberMore()
	if wentBack, err := s.Horizon.Passed(pastAll, s.stateSecret().ResourceVersion); err != nil || !wentBack {
		t.Fatal(wentBack, err)
	}
	record, err := s.Recover(t.Context(), s.credential)
	if err != nil || !record.Copied {
		t.Errorf("the state counts as a copy: %t (%v): it is no newer than what the cluster was put back to", record.Copied, err)
	}
}

func TestASeedFromBeforeTheClusterWentBackIsHeldWithoutAState(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		seeded bool // again, after the cluster went back
		trust  string
		want   string
	}{
		"nobody says anything":                {"there may have been a state since, in which it was sent", false, "", v1alpha1.RestoredFromBackupReason},
		"a person says that it was not sent":  {"that is their word", false, "the provider's log shows no use", ""},
		"a person has put another seed there": {"whoever hands out a token states that it is not spent", true, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second), rotates(third))
			s.rememberMore()
			if wentBack, err := s.Horizon.Passed(pastAll, s.secret("seed").ResourceVersion); err != nil || !wentBack {
				t.Fatal(wentBack, err)
			}
			if c.seeded {
				s.gives("another")
			}
			if c.trust != "" {
				s.credential.Annotations = map[string]string{v1alpha1.TrustRestoredAnnotation: c.trust}
			}
			found, err := s.judged()
			if err != nil {
				t.Fatal(err)
			}
			if got := found.Record.Copied; got != (c.want != "") {
				t.Errorf("%s: it counts as restored: %t", c.reason, got)
			}
		})
	}
}

// TestThatAStateWasPutBackOutlastsWhoHasSeenIt starts a process in another pod.
func TestThatAStateWasPutBackOutlastsWhoHasSeenIt(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(s *scene, known *v1alpha1.TokenCredentialStatus)
		want         bool
	}{
		{"the status tells it", "else an edit of any input would have the token sent", func(*scene, *v1alpha1.TokenCredentialStatus) {}, true},
		{"the state has been written since", "by whoever knew better", func(s *scene, _ *v1alpha1.TokenCredentialStatus) {
			s.keeps(func(state rotation.State) rotation.State { state.Sequence++; return state })
		}, false},
		{"a person says that the token was not sent", "that is their word", func(s *scene, _ *v1alpha1.TokenCredentialStatus) {
			s.credential.Annotations = map[string]string{v1alpha1.TrustRestoredAnnotation: "the provider's log shows no use"}
		}, false},
		{"the last attempt ended otherwise", "nothing tells it", func(_ *scene, known *v1alpha1.TokenCredentialStatus) {
			known.LastAttempt.Reason = v1alpha1.AppRejectedReason
		}, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.credential.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: v1alpha1.RestoredFromBackupReason}
			s.credential.Status.StateSecret = &v1alpha1.StateSecretStatus{ResourceVersion: s.stateSecret().ResourceVersion}
			each.change(s, &s.credential.Status)
			s.start(singleUse, "two")
			record, err := s.Recover(t.Context(), s.credential)
			if err != nil || record.Copied != each.want {
				t.Errorf("the state counts as a copy: %t (%v), want %t\nreason: %s", record.Copied, err, each.want, each.reason)
			}
		})
	}
}

// TestASeedThatWasPutBackIsNoNewOne puts etcd back to where a user had given another seed that
// nobody had adopted yet.
func TestASeedThatWasPutBackIsNoNewOne(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		seeded bool // again, after the cluster went back
		trust  string
		copied bool
		want   rotation.SeedVerdict
	}{
		"nobody says anything":                {"it may have been adopted and sent since", false, "", true, rotation.SeedUnchanged},
		"a person says that it was not sent":  {"that is their word", false, "the provider's log shows no use", false, rotation.SeedNew},
		"a person has put another seed there": {"whoever hands out a token states that it is not spent", true, "", true, rotation.SeedNew},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.gives(third)
			s.start(singleUse, "two")
			s.rememberMore()
			if wentBack, err := s.Horizon.Passed(pastAll, s.secret("seed").ResourceVersion); err != nil || !wentBack {
				t.Fatal(wentBack, err)
			}
			if c.seeded {
				s.gives("another")
			}
			if c.trust != "" {
				s.credential.Annotations = map[string]string{v1alpha1.TrustRestoredAnnotation: c.trust}
			}
			found, err := s.judged()
			if err != nil {
				t.Fatal(err)
			}
			if found.Seed != c.want || found.Record.Copied != c.copied {
				t.Errorf("the seed is %v, and the state a copy: %t; want %v and %t\nreason: %s", found.Seed, found.Record.Copied, c.want, c.copied, c.reason)
			}
		})
	}
}

func TestAFirstClaimThatShowsARestoreSpeaksOfTheSeed(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.rememberMore()
	_, err := s.renew(t.Context())
	if !problem.Is(err, v1alpha1.RestoredFromBackupReason) || !strings.Contains(err.Error(), "the refresh token in the Secret of spec.refreshTokenSecretRef is from before") {
		t.Errorf("got %v; the state that it has just made was restored by nobody", err)
	}
}
