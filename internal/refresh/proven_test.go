// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

const (
	auto = shopProvider + "{onUnknownOutcome: Hold}"
	// leavesAsItIs is a reply of a server that does not rotate.
	leavesAsItIs = `{"access_token":"` + access + `","expires_in":3600}`
)

// provenScene is a scene whose live token is the seed, which is proven: the first refresh is
// over.
func provenScene(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, auto)
	s.provider.answer(replies(http.StatusOK, leavesAsItIs))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.stored().Proven() {
		t.Fatal("the token was sent, worked and stayed as it is, and counts as single use")
	}
	s.asked = map[string]int{}
	return s
}

// TestWhatProvesAToken sends a token of which nothing is known.
func TestWhatProvesAToken(t *testing.T) {
	t.Parallel()
	same := fmt.Sprintf(`{"access_token":%q,"refresh_token":%q}`, access, seed)
	for _, each := range []struct {
		name, reason, described string
		answer                  func() (*egress.Reply, error)
		want                    bool
	}{
		{"an access token alone", "the token has worked, and nothing took its place", auto, replies(200, leavesAsItIs), true},
		{"the same refresh token beside it", "some servers repeat it", auto, replies(200, same), true},
		{"another refresh token", "it may work once: nothing is known of it yet", auto, rotates(second), false},
		{"no access token, and the same refresh token", "it has not worked", auto, replies(200, `{"refresh_token":"`+seed+`"}`), false},
		{"a refusal that says nothing was spent", "it has not worked", auto, refuses("slow_down"), false},
		{"no answer", "it may be spent", auto, breaksOff(), false},
		{"a refresh token that is too large to be kept", "it is spent", auto,
			replies(200, `{"access_token":"`+access+`","refresh_token":"`+strings.Repeat("x", token.MaxSize+1)+`"}`), false},
		{"an access token alone, of a SingleUse provider", "that never learns", singleUse, replies(200, leavesAsItIs), false},
		{"an access token alone, of a Reusable provider", "there is nothing to find out", reusable, replies(200, leavesAsItIs), false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, each.described)
			s.provider.answer(each.answer)
			_, _ = s.renew(t.Context())
			if got := s.stored().Proven(); got != each.want {
				t.Errorf("proven: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
			if _, written := s.stateSecret().Data["proven"]; written != each.want {
				t.Errorf("a proof is written: %t, want %t\nreason: %s", written, each.want, each.reason)
			}
			s.isBalanced()
		})
	}
}

// TestATokenThatIsSentOnceMoreProvesNothing resends a token inside a reuse window, in
// which a server may answer with an access token alone.
func TestATokenThatIsSentOnceMoreProvesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, shopProvider+"{mode: Auto, onUnknownOutcome: Hold, reuseWindow: 60s}")
	s.provider.answer(breaksOff(), replies(200, leavesAsItIs), breaksOff())
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Fatalf("the token is not to be sent once more: %v", err)
	}
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.stored().Proven() {
		t.Error("the first answer may have held a successor, and the token counts as proven")
	}
	s.isBalanced()
}

// TestOutcomesOfAProvenToken sends a token that has worked and stayed as it was.
func TestOutcomesOfAProvenToken(t *testing.T) {
	t.Parallel()
	tooLarge := strings.Repeat("x", token.MaxSize+1)
	for _, each := range []struct {
		name, reason string
		answer       func() (*egress.Reply, error)
		want         string // reason of the error
		state        string
		proven       bool
		writes       int
	}{
		{"success", "it costs what a Reusable one does", replies(200, leavesAsItIs), "", "seed, spent: ", true, 0},
		{"a plain 502", "nothing is spent by this provider: it is tried again", replies(502, "bad gateway"), v1alpha1.ProviderUnavailableReason, "seed, spent: ", true, 0},
		{"no answer", "the same", breaksOff(), v1alpha1.ProviderUnavailableReason, "seed, spent: ", true, 0},
		{"a page in place of a reply", "the same", replies(200, "<html>"), v1alpha1.ProviderUnavailableReason, "seed, spent: ", true, 0},
		{"nothing was sent", "it is tried again", fails(egress.ErrNotSent), v1alpha1.ProviderUnavailableReason, "seed, spent: ", true, 0},
		{"too many calls", "nothing is spent", refuses("slow_down"), v1alpha1.RateLimitedReason, "seed, spent: ", true, 0},
		{"another refresh token", "the provider begins to rotate: of the successor nothing is known", rotates(second), "", "second, spent: seed", false, 1},
		{"another refresh token beside a refusal", "whatever else a reply says, its refresh token is kept",
			replies(400, `{"error":"slow_down","refresh_token":"`+second+`"}`), v1alpha1.RateLimitedReason, "second, spent: seed", false, 1},
		{"another refresh token, and no access token", "nothing is unknown: the successor is there",
			replies(500, `{"refresh_token":"`+second+`"}`), v1alpha1.ProviderUnavailableReason, "second, spent: seed", false, 1},
		{"another refresh token that is too large to be kept", "it is lost, and said to be so at once",
			replies(200, `{"access_token":"`+access+`","refresh_token":"`+tooLarge+`"}`), v1alpha1.RotatedTokenLostReason, "seed, spent: seed", false, 1},
		{"the grant is refused", "a person must act, and what was proven is so no more", refuses("invalid_grant"), v1alpha1.ReauthorizationRequiredReason, "seed, spent: ", false, 1},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := provenScene(t)
			s.provider.answer(each.answer)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			if s.stored().Proven() != each.proven {
				t.Errorf("proven: %t, want %t\nreason: %s", s.stored().Proven(), each.proven, each.reason)
			}
			if s.writes() != each.writes {
				t.Errorf("the state is written %d times, want %d: %v", s.writes(), each.writes, s.asked)
			}
			if hasToken := !result.Token.IsZero(); hasToken != (err == nil) {
				t.Errorf("a token has come: %t, with the error %v", hasToken, err)
			}
			if left := s.spooled(); len(left) > 0 {
				t.Errorf("the spool keeps %v, and the state has it", left)
			}
			if p := problem.Of(err); p != nil {
				holdsNoSecret(t, p.Message)
			}
			s.isBalanced()
		})
	}
}

// TestAServerThatBeginsToRotateIsToldTruthfully loses the answer that holds the first
// successor: nothing was claimed, so the token is sent again, and then refused.
func TestAServerThatBeginsToRotateIsToldTruthfully(t *testing.T) {
	t.Parallel()
	s := provenScene(t)
	s.provider.answer(breaksOff(), refuses("invalid_grant"))
	if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.ProviderUnavailableReason {
		t.Fatalf("a proven token is tried again: %v", err)
	}
	_, err := s.renew(t.Context())
	if reasonOf(err) != v1alpha1.ReauthorizationRequiredReason {
		t.Fatalf("the error is %v, want ReauthorizationRequired: a loss is never silent", err)
	}
	for _, word := range []string{"had accepted before", "begun to rotate", "was lost", "authorize again", `"seed"`} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message lacks %q: %v", word, err)
		}
	}
	s.isBalanced()
}

// TestTheSuccessorOfAProvenTokenOutlivesItsProcess kills a process between the reply and
// the commit.
func TestTheSuccessorOfAProvenTokenOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	s := provenScene(t)
	left := s.stored().Spooled()
	if left.Attempt == "" || !left.Sent.Equal(secret.New(seed)) {
		t.Fatalf("the reply to a proven token is looked for under %q", left.Attempt)
	}
	if err := s.Saver.Spool.Put("team", left.Attempt, left.Sent, token.Grant{RefreshToken: secret.New(second)}); err != nil {
		t.Fatal(err)
	}
	s.start(auto, "two")
	if got := s.recovery(); got != recovery.Nothing {
		t.Errorf("it finds %s, and no claim was made", got)
	}
	if got := tokens(s.stored()); got != "second, spent: seed" {
		t.Errorf("the state is %q, want what the spool carried over the restart", got)
	}
	if kept := s.spooled(); len(kept) > 0 {
		t.Errorf("the spool keeps %v", kept)
	}
}

// TestTheSuccessorOfAProvenTokenIsSavedInTheEnd has the API server refuse the commit: the
// worker goes on, and the successor waits in memory and in the spool.
func TestTheSuccessorOfAProvenTokenIsSavedInTheEnd(t *testing.T) {
	t.Parallel()
	s := provenScene(t)
	s.failing("write", -1, forbidden())
	s.provider.answer(rotates(second))
	_, err := s.renew(t.Context())
	if reasonOf(err) != v1alpha1.PersistBlockedReason {
		t.Fatalf("the error is %v, want PersistBlocked", err)
	}
	if len(s.spooled()) != 1 {
		t.Errorf("the spool keeps %v, want the successor", s.spooled())
	}
	if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.PersistBlockedReason {
		t.Errorf("while it waits the error is %v: the spent token must not be sent", err)
	}
	s.restored()
	s.InFlight.Wait()
	if got := tokens(s.stored()); got != "second, spent: seed" {
		t.Errorf("the state is %q, want the successor", got)
	}
	if kept := s.spooled(); len(kept) > 0 {
		t.Errorf("the spool keeps %v", kept)
	}
	s.isBalanced()
}

// TestAProvenTokenAndAnotherProcess changes the state while the token is on its way.
func TestAProvenTokenAndAnotherProcess(t *testing.T) {
	t.Parallel()
	rotatedByAnother := func(state rotation.State) rotation.State {
		return state.Commit(token.Grant{RefreshToken: secret.New(third)}, rotation.Exchange{Sent: state.RefreshToken})
	}
	claimed := func(state rotation.State) rotation.State {
		return state.Claim(rotation.Attempt{ID: "another", Holder: "another", Started: noon})
	}
	replaced := func(state rotation.State) rotation.State { return state.Adopt(secret.New(third)) }
	for _, each := range []struct {
		name, reason string
		answer       func() (*egress.Reply, error)
		meanwhile    func(rotation.State) rotation.State
		want         string // reason of the error
		state        string
	}{
		{"it has saved a successor, and this one gets another", "the one that is saved is not erased", rotates(second), rotatedByAnother, "Pause", "third, spent: seed"},
		{"it has saved a successor, and this one is refused", "the refusal is of a token that is replaced: no person is needed",
			refuses("invalid_grant"), rotatedByAnother, "Pause", "third, spent: seed"},
		{"it has saved a successor, and this one gets an access token", "nothing is written", replies(200, leavesAsItIs), rotatedByAnother, "", "third, spent: seed"},
		{"it has claimed the token, and this one gets a successor", "the successor is saved, and the claim is not ended", rotates(second), claimed, "", "second claimed, spent: seed"},
		{"it has claimed the token, and this one is refused", "the other's outcome is awaited", refuses("invalid_grant"), claimed, "Pause", "seed claimed, spent: "},
		{"it has adopted another seed, and this one gets a successor", "it is kept as what the user can go back to", rotates(second), replaced, "", "third, spent: seed"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := provenScene(t)
			s.provider.during = func() { s.keeps(each.meanwhile) }
			s.provider.answer(each.answer)
			_, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			s.isBalanced()
		})
	}
}

// TestARefusalHoldsForItsTokenAlone: another process may have the successor already, and
// save it after the refusal was told.
func TestARefusalHoldsForItsTokenAlone(t *testing.T) {
	t.Parallel()
	s := provenScene(t)
	s.provider.answer(refuses("invalid_grant"))
	result, err := s.renew(t.Context())
	if reasonOf(err) != v1alpha1.ReauthorizationRequiredReason || result.Refused != digestOf(seed) {
		t.Fatalf("the renewal ended with %v, and says that %q was refused, want the digest of the seed", err, result.Refused)
	}
	another := &store.Store{Key: digest.Random()}
	for _, each := range []struct {
		name, reason string
		refused      string // in the status
		live         string
		noted        bool // in the state, too
		replaced     bool
		only         bool // the status alone tells it
	}{
		{"the token is the live one", "it is as the status says", s.Saver.States.TokenDigest(s.credential, result.Refused), seed, false, false, true},
		{"the token is the live one, and the state tells so", "it is not sent, whatever the status says: a login may have taken its place", s.Saver.States.TokenDigest(s.credential, result.Refused), seed, true, false, false},
		{"its successor is the live one", "what is said of the token before does not concern it", s.Saver.States.TokenDigest(s.credential, result.Refused), second, false, true, false},
		{"the key of the digest is lost", "nothing tells which token it was", another.TokenDigest(s.credential, result.Refused), second, false, false, false},
		{"an earlier version wrote the status", "it does not say which token it was", "", second, false, false, false},
	} {
		s.keeps(func(state rotation.State) rotation.State {
			state.RefreshToken, state.Refused = secret.New(each.live), ""
			if each.noted {
				return state.Refuse()
			}
			return state
		})
		s.credential.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: v1alpha1.ReauthorizationRequiredReason, RefusedToken: each.refused}
		found, err := s.judged()
		if err != nil || found.Replaced != each.replaced || found.Refused != each.only {
			t.Errorf("%s: replaced: %t, refused by the status alone: %t (%v), want %t and %t\nreason: %s", each.name, found.Replaced, found.Refused, err, each.replaced, each.only, each.reason)
		}
	}
}

// TestWhatVoidsAProof asks for a claim again.
func TestWhatVoidsAProof(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(*scene)
	}{
		{"another seed", "nothing is known of it", func(s *scene) { s.gives(third) }},
		{"a claim of another process", "it may be spending the token", func(s *scene) {
			s.keeps(func(state rotation.State) rotation.State {
				return state.Claim(rotation.Attempt{ID: "another", Holder: s.Holder, Started: noon.Add(-time.Hour)})
			})
		}},
		{"the state was restored from a backup", "the token may have been sent since", func(s *scene) {
			copied := s.stateSecret()
			if err := s.cluster.Delete(context.Background(), copied); err != nil {
				s.Fatal(err)
			}
			copied.ResourceVersion, copied.UID = "", "uid-of-the-copy"
			if err := s.cluster.Create(context.Background(), copied); err != nil {
				s.Fatal(err)
			}
		}},
		{"the token was changed by hand", "the proof is of another", func(s *scene) {
			edited := s.stateSecret()
			edited.Data["refresh_token"] = []byte(third)
			if err := s.cluster.Update(context.Background(), edited); err != nil {
				s.Fatal(err)
			}
		}},
		{"the proof was changed by hand", "it is of another origin then", func(s *scene) {
			edited := s.stateSecret()
			edited.Data["proven"] = []byte(strings.Replace(string(edited.Data["proven"]), "shop.example", "other.example", 1))
			if err := s.cluster.Update(context.Background(), edited); err != nil {
				s.Fatal(err)
			}
		}},
		{"the proof cannot be read", "a damaged proof proves nothing", func(s *scene) {
			edited := s.stateSecret()
			edited.Data["proven"] = []byte("{")
			if err := s.cluster.Update(context.Background(), edited); err != nil {
				s.Fatal(err)
			}
		}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := provenScene(t)
			each.change(s)
			record, err := s.Recover(t.Context(), s.credential)
			if err != nil {
				t.Fatal(err)
			}
			in, err := s.Inputs.Gather(t.Context(), s.credential)
			if err != nil {
				t.Fatal(err)
			}
			found, err := s.Judge(t.Context(), s.credential, in, record)
			if err != nil {
				t.Fatal(err)
			}
			state := found.Record.State
			if found.Seed == rotation.SeedNew {
				state = state.Adopt(in.Seed)
			}
			if !in.SingleUse(state) {
				t.Errorf("the token is sent without a claim\nreason: %s", each.reason)
			}
		})
	}
}

// TestAServerThatRotatesNowAndThen refreshes through a rotation: each token is claimed until
// it is proven, and the tokens obtained are counted throughout.
func TestAServerThatRotatesNowAndThen(t *testing.T) {
	t.Parallel()
	s := newScene(t, auto)
	same := replies(200, leavesAsItIs)
	s.provider.answer(same, same, same, rotates(second), same, same, rotates(third))
	for i, want := range []struct {
		writes int
		state  string
	}{
		{2, "seed, spent: "}, {0, "seed, spent: "}, {0, "seed, spent: "}, {1, "second, spent: seed"},
		{2, "second, spent: seed"}, {0, "second, spent: seed"}, {1, "third, spent: second seed"},
	} {
		s.asked = map[string]int{}
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.credential.Status.RefreshCount++ // as the status counts
		if got := tokens(s.stored()); s.writes() != want.writes || got != want.state {
			t.Errorf("refresh %d: the state is %q after %d writes, want %q after %d", i+1, got, s.writes(), want.state, want.writes)
		}
	}
	if got := s.stored().Sequence; got != 7 {
		t.Errorf("the state counts %d tokens, want 7: those of a proven token are not forgotten", got)
	}
	s.isBalanced()
}
