// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// TestATokenThatIsNotClaimedIsNotSent fails the write of the claim.
func TestATokenThatIsNotClaimedIsNotSent(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		answer       error
		want         string
		transient    bool
	}{
		{"refused", "a quota or a policy is found before anything is spent", forbidden(), v1alpha1.PersistBlockedReason, false},
		{"another process was first", "it is at work on the credential", conflict(), "Pause", false},
		{"no answer", "it is tried again soon", errNoAnswer, v1alpha1.PersistBlockedReason, true},
		{"no answer in time", "the API server hangs, and the process is not ending", context.DeadlineExceeded, v1alpha1.PersistBlockedReason, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.failing("write", 1, each.answer)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if p := problem.Of(err); p != nil {
				holdsNoSecret(t, p.Message)
				if p.Transient != each.transient || !each.transient && !strings.Contains(p.Message, `"shop-token-state"`) {
					t.Errorf("the problem (transient: %t) says %q: it is to name the Secret", p.Transient, p.Message)
				}
			}
			if len(s.provider.sent) > 0 || result.Called || result.SeedAdopted {
				t.Errorf("it sends %v, called: %t, adopted: %t", s.provider.sent, result.Called, result.SeedAdopted)
			}
			key := another.Who
			key.Name = s.credential.Name
			if !s.Pending(key, false) {
				t.Error("the claim may have been saved all the same: the state is to be read before anything is said of it")
			}
			s.provider.answer(rotates(second))
			if _, err := s.renew(t.Context()); err != nil || !slices.Equal(s.provider.sent, []string{seed}) {
				t.Errorf("the next one sends %v and ends with %v", s.provider.sent, err)
			}
			if s.Pending(key, false) {
				t.Error("nothing is pending any more")
			}
			s.isBalanced()
		})
	}
}

// TestAClaimWhoseAnswerIsLostIsKnownNotToBeSent saves the claim and loses the answer.
func TestAClaimWhoseAnswerIsLostIsKnownNotToBeSent(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.after = func(verb, _ string) error {
		if verb == "create" {
			return errNoAnswer
		}
		return nil
	}
	if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.PersistBlockedReason {
		t.Fatal(err)
	}
	if s.stored().Attempt == nil {
		t.Fatal("the claim was saved")
	}
	s.restored()
	s.provider.answer(rotates(second))
	if _, err := s.renew(t.Context()); err != nil {
		t.Errorf("it ends with %v: this process knows that the token was not sent", err)
	}
	if got := tokens(s.stored()); got != "second, spent: seed" {
		t.Errorf("the state is %q", got)
	}
	s.isBalanced()
}

// TestTheFenceHoldsBackAClaimedToken has something happen while the claim is saved.
func TestTheFenceHoldsBackAClaimedToken(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		meanwhile    func(s *scene, end func())
		sent         int
	}{
		{"nothing happens", "it is sent", func(*scene, func()) {}, 1},
		{"the process is ending", "the next process goes on without a doubt", func(_ *scene, end func()) { end() }, 0},
		{"the process was frozen", "another may have taken the token over", func(s *scene, _ func()) { s.clock.SetTime(noon.Add(fenceTimeout + time.Second)) }, 0},
		{"a little time passes", "a slow API server is no reason", func(s *scene, _ func()) { s.clock.SetTime(noon.Add(fenceTimeout)) }, 1},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second))
			ctx, end := context.WithCancel(t.Context())
			defer end()
			s.after = func(verb, _ string) error {
				if verb == "create" {
					each.meanwhile(s, end)
				}
				return nil
			}
			result, err := s.renew(ctx)
			if len(s.provider.sent) != each.sent {
				t.Errorf("it sends %v (%v), want %d\nreason: %s", s.provider.sent, err, each.sent, each.reason)
			}
			if each.sent == 0 && reasonOf(err) != "Pause" {
				t.Errorf("it ends with %v, want a pause: there is nothing to report", err)
			}
			if s.stored().Attempt != nil || !result.SeedAdopted {
				t.Errorf("the state is %q, adopted: %t: the claim is to be gone, and the seed adopted", tokens(s.stored()), result.SeedAdopted)
			}
			s.isBalanced()
		})
	}
}

// bounded is a way out that notes for how long a call may go on.
type bounded struct {
	egress.Caller
	left time.Duration
}

// Do implements egress.Caller.
func (b *bounded) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	if until, is := request.Context().Deadline(); is {
		b.left = time.Until(until)
	}
	return b.Caller.Do(request, singleUse)
}

// TestAnExchangeEndsWithItsClaim lets an exchange begin late: it must have ended before
// another process may take its claim over.
func TestAnExchangeEndsWithItsClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, singleUse)
		s.provider.answer(rotates(second))
		call := &bounded{Caller: s.Calls.Egress}
		s.Calls.Egress = call
		const late = fenceTimeout + 15*time.Second
		s.after = func(verb, _ string) error {
			if verb == "create" {
				time.Sleep(late) // and the fence, which has another clock here, sees nothing of it
			}
			return nil
		}
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := claimTimeout - late; call.left != want {
			t.Errorf("the call may go on for %s, want %s: claimed is for %s", call.left, want, claimTimeout)
		}
		s.isBalanced()
	})
}

// TestAProcessThatIsEndingClaimsNothing cancels the context before the refresh.
func TestAProcessThatIsEndingClaimsNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := s.renew(ctx); reasonOf(err) != "Pause" || s.writes() > 0 || len(s.provider.sent) > 0 {
		t.Errorf("it ends with %v, asks the API server for %v and sends %v", err, s.asked, s.provider.sent)
	}
	s.isBalanced()
}

// twinOf gives another credential a state, made some time after noon.
func (s *scene) twinOf(namespace string, later time.Duration, exists bool, change func(rotation.State) rotation.State) {
	s.Helper()
	other := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "older"}}
	s.clock.SetTime(noon.Add(later))
	states := &store.Store{Client: s.intercepted(), Cluster: "cluster", Key: key}
	if err := states.Save(s.Context(), states.None(other), change(rotation.State{})); err != nil {
		s.Fatal(err)
	}
	if exists {
		if err := s.cluster.Create(s.Context(), other); err != nil {
			s.Fatal(err)
		}
	}
	s.clock.SetTime(noon)
	s.asked = map[string]int{}
}

func adopts(state rotation.State) rotation.State { return state.Adopt(secret.New(seed)) }

func claims(state rotation.State) rotation.State {
	return adopts(state).Claim(rotation.Attempt{ID: "theirs", Holder: "elsewhere", Started: noon})
}

func spends(state rotation.State) rotation.State {
	return claims(state).Commit(token.Grant{RefreshToken: secret.New(third)}, rotation.Exchange{Attempt: "theirs", Sent: secret.New(seed)})
}

func loses(state rotation.State) rotation.State { return claims(state).Lose("theirs") }

// TestOneOfTwoCredentialsOnATokenSendsIt meets another state on the same token.
func TestOneOfTwoCredentialsOnATokenSendsIt(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		given        func(s *scene)
		want         string
		says         []string
		saysNot      []string
	}{
		{"an older one works on it", "the younger gives way", func(s *scene) { s.twinOf("team", -time.Hour, true, adopts) },
			v1alpha1.DuplicateSourceReason, []string{`"older"`, "delete this one", "spec.refreshTokenSecretRef"}, nil},
		{"an older one in another namespace", "of that no more is said", func(s *scene) { s.twinOf("elsewhere", -time.Hour, true, adopts) },
			v1alpha1.DuplicateSourceReason, []string{"in another namespace"}, []string{"elsewhere", "older"}},
		{"a younger one", "this one goes before it", func(s *scene) { s.twinOf("team", time.Hour, true, adopts) }, "", nil, nil},
		{"an older one that is gone and never sent it", "nobody else works on it", func(s *scene) { s.twinOf("team", -time.Hour, false, adopts) }, "", nil, nil},
		{"one that is gone has spent it", "the step that works is named", func(s *scene) { s.twinOf("team", time.Hour, false, spends) },
			v1alpha1.DuplicateSourceReason, []string{`the state Secret "older-token-state"`, "put the refresh_token from there"}, nil},
		{"one that is gone has spent it, in another namespace", "of that no more is said", func(s *scene) { s.twinOf("elsewhere", time.Hour, false, spends) },
			v1alpha1.DuplicateSourceReason, []string{"its successor is in its state Secret"}, []string{"elsewhere", "older"}},
		{"one that is gone has lost it", "there is nothing to take from there", func(s *scene) { s.twinOf("team", time.Hour, false, loses) },
			v1alpha1.DuplicateSourceReason, []string{"its successor is lost", "authorize again"}, nil},
		{"a younger one has claimed it", "it may be sending it: this one waits", func(s *scene) { s.twinOf("team", time.Hour, true, claims) }, "Pause", nil, nil},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			each.given(s)
			s.provider.answer(rotates(second))
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if (len(s.provider.sent) > 0) != (each.want == "") {
				t.Errorf("it sends %v\nreason: %s", s.provider.sent, each.reason)
			}
			if p := problem.Of(err); p != nil {
				holdsNoSecret(t, p.Message)
				for _, want := range each.says {
					if !strings.Contains(p.Message, want) {
						t.Errorf("%q does not say %q\nreason: %s", p.Message, want, each.reason)
					}
				}
				for _, not := range each.saysNot {
					if strings.Contains(p.Message, not) {
						t.Errorf("%q says %q\nreason: %s", p.Message, not, each.reason)
					}
				}
				if !result.Answered {
					t.Error("a refresh that was asked for is answered by that")
				}
			}
			if s.stored().Attempt != nil {
				t.Errorf("the state is %q: no claim is to stay", tokens(s.stored()))
			}
			s.isBalanced()
		})
	}
}

// TestATokenThatIsContendedForLongIsTakenForSent waits for a claim that does not end.
func TestATokenThatIsContendedForLongIsTakenForSent(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.twinOf("team", time.Hour, true, claims)
	var err error
	for after := time.Duration(0); after < recovery.HolderTimeout; after += contendedPause {
		s.clock.SetTime(noon.Add(after))
		if _, err = s.renew(t.Context()); reasonOf(err) != "Pause" {
			t.Fatalf("after %s it ends with %v", after, err)
		}
		written := s.writes()
		if _, err = s.renew(t.Context()); reasonOf(err) != "Pause" || s.writes() != written {
			t.Fatalf("at once again it ends with %v: claim and withdrawal wake it, and are not to be repeated without a pause", err)
		}
	}
	s.clock.SetTime(noon.Add(recovery.HolderTimeout + contendedPause))
	if _, err = s.renew(t.Context()); reasonOf(err) != v1alpha1.DuplicateSourceReason || len(s.provider.sent) > 0 {
		t.Errorf("in the end it sends %v and ends with %v", s.provider.sent, err)
	}
	s.isBalanced()
}

// TestALookForTwinsThatFailsHoldsTheTokenBack cannot list the states.
func TestALookForTwinsThatFailsHoldsTheTokenBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.before = func(verb, _ string) error {
		if verb == "list" {
			return forbidden()
		}
		return nil
	}
	if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.PersistBlockedReason || len(s.provider.sent) > 0 || s.stored().Attempt != nil {
		t.Errorf("it sends %v and ends with %v, and the state is %q", s.provider.sent, err, tokens(s.stored()))
	}
	s.isBalanced()
}
