// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func digestOf(token string) string { return secret.New(token).Digest() }

// TestOutcomesOfASingleUseToken sends a token that works once, for the first time.
func TestOutcomesOfASingleUseToken(t *testing.T) {
	t.Parallel()
	cutShort := func(body string) func() (*egress.Reply, error) {
		return func() (*egress.Reply, error) {
			return &egress.Reply{Status: http.StatusOK, Header: http.Header{}, Body: []byte(body), CutShort: true}, errors.New("the reply is cut short")
		}
	}
	for _, each := range []struct {
		name, reason string
		answer       func() (*egress.Reply, error)
		policy       v1alpha1.UnknownOutcomePolicy
		want         string // reason of the error
		state        string
		writes       int
	}{
		{"success", "the successor is saved, and the token is spent", rotates(second), "", "", "second, spent: seed", 2},
		{"success without another refresh token", "the one that was sent stays", replies(200, `{"access_token":"`+access+`"}`), "", "", "seed, spent: ", 2},
		{"the grant is refused", "nothing was spent: the claim is withdrawn", refuses("invalid_grant"), "", v1alpha1.ReauthorizationRequiredReason, "seed, spent: ", 2},
		{"the app is refused", "nothing was spent", refuses("invalid_client"), "", v1alpha1.AppRejectedReason, "seed, spent: ", 2},
		{"the request is refused", "nothing was spent", refuses("invalid_request"), "", v1alpha1.RequestRejectedReason, "seed, spent: ", 2},
		{"too many calls", "nothing was spent", refuses("slow_down"), "", v1alpha1.RateLimitedReason, "seed, spent: ", 2},
		{"the provider is down", "its own word says that nothing was spent", refuses("unavailable"), "", v1alpha1.ProviderUnavailableReason, "seed, spent: ", 2},
		{"refused, with another refresh token beside", "whatever else a reply says, its refresh token is kept",
			replies(400, `{"error":"slow_down","refresh_token":"`+second+`"}`), "", v1alpha1.RateLimitedReason, "second, spent: seed", 2},
		{"refused, with both tokens beside", "it is told, and the refresh token is kept",
			replies(400, `{"error":"slow_down","access_token":"`+access+`","refresh_token":"`+second+`"}`), "", v1alpha1.RateLimitedReason, "second, spent: seed", 2},
		{"announced longer than it is", "JSON shows its own end", cutShort(`{"access_token":"` + access + `","refresh_token":"` + second + `"}`), "", "", "second, spent: seed", 2},
		{"a refusal that was announced longer than it is", "JSON shows its own end", cutShort(`{"error":"invalid_grant"}`), "", v1alpha1.ReauthorizationRequiredReason, "seed, spent: ", 2},
		{"cut short behind both tokens", "what came is saved, and the reply proves nothing else", cutShort(`{"access_token":"` + access + `","refresh_token":"` + second + `","exp`), "", v1alpha1.ProviderUnavailableReason, "second, spent: seed", 2},
		{"cut short before the refresh token ends, with an access token", "half a token is none", cutShort(`{"access_token":"` + access + `","refresh_token":"seco`), "", v1alpha1.OutcomeUnknownReason, "seed claimed, spent: ", 1},
		{"no access token, and another refresh token", "nothing is unknown: the successor is there",
			replies(500, `{"refresh_token":"`+second+`"}`), "", v1alpha1.ProviderUnavailableReason, "second, spent: seed", 2},
		{"cut short behind the refresh token", "what came is saved", cutShort(`{"refresh_token":"` + second + `","acc`), "", v1alpha1.ProviderUnavailableReason, "second, spent: seed", 2},
		{"cut short before the refresh token ends", "half a token is none", cutShort(`{"refresh_token":"seco`), "", v1alpha1.OutcomeUnknownReason, "seed claimed, spent: ", 1},
		{"no answer, Hold", "a person must say how to go on", breaksOff(), v1alpha1.Hold, v1alpha1.OutcomeUnknownReason, "seed claimed, spent: ", 1},
		{"no answer, RetryOnce", "it is sent once more, by the next reconcile", breaksOff(), v1alpha1.RetryOnce, "Pause", "seed claimed, spent: ", 1},
		{"an error that no rule knows", "a gateway answers it when the provider has acted, too", replies(502, "bad gateway"), "", v1alpha1.OutcomeUnknownReason, "seed claimed, spent: ", 1},
		{"a page in place of a reply", "it proves nothing", replies(200, "<html>"), "", v1alpha1.OutcomeUnknownReason, "seed claimed, spent: ", 1},
		{"a refresh token that is too large to be kept", "it is lost, and said to be so at once",
			replies(200, `{"access_token":"`+access+`","refresh_token":"`+strings.Repeat("x", token.MaxSize+1)+`"}`), "", v1alpha1.RotatedTokenLostReason, "seed, spent: seed", 2},
		{"... cut short behind it", "there is no more to come", cutShort(`{"refresh_token":"` + strings.Repeat("x", token.MaxSize+1) + `","acc`), v1alpha1.RetryOnce, v1alpha1.RotatedTokenLostReason, "seed, spent: seed", 2},
		{"a refresh token that can just be kept", "the bound is inclusive", rotates(strings.Repeat("x", token.MaxSize)), "", "", ", spent: seed", 2},
		{"nothing was sent", "the claim is withdrawn, and it is tried again", fails(egress.ErrNotSent), "", v1alpha1.ProviderUnavailableReason, "seed, spent: ", 2},
		{"the address is denied", "only the resolved address shows it", fails(egress.ErrDenied), "", v1alpha1.EgressDeniedReason, "seed, spent: ", 2},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.credential.Spec.OnUnknownOutcome = each.policy
			s.provider.answer(each.answer)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			// The access token beside a refresh token that cannot be kept is as good as ever.
			isUnkept := strings.HasPrefix(each.name, "a refresh token that is too large")
			if hasToken := !result.Token.IsZero(); hasToken != (err == nil || isUnkept) {
				t.Errorf("a token has come: %t, with the error %v", hasToken, err)
			}
			if !result.Called || !result.SeedAdopted {
				t.Errorf("called: %t, seed adopted: %t, want both", result.Called, result.SeedAdopted)
			}
			if s.writes() != each.writes {
				t.Errorf("the state is written %d times, want %d: %v", s.writes(), each.writes, s.asked)
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

// TestOutcomesOfAReusableToken sends a token that is not spent: nothing is claimed, and
// nothing is unknown.
func TestOutcomesOfAReusableToken(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		answer       func() (*egress.Reply, error)
		want         string
		writes       int
	}{
		{"success", "the target alone holds the access token, and a seed that is not replaced is the user's", replies(200, `{"access_token":"`+access+`"}`), "", 1},
		{"success with another refresh token", "it must not be lost", rotates(second), "", 1},
		{"the grant is refused", "there is nothing to save", refuses("invalid_grant"), v1alpha1.ReauthorizationRequiredReason, 0},
		{"no answer", "it is simply tried again", breaksOff(), v1alpha1.ProviderUnavailableReason, 0},
		{"an error that no rule knows", "it is simply tried again", replies(502, "bad gateway"), v1alpha1.ProviderUnavailableReason, 0},
		{"nothing was sent", "it is simply tried again", fails(egress.ErrNotSent), v1alpha1.ProviderUnavailableReason, 0},
		{"refused, with another refresh token beside", "its refresh token is kept", replies(400, `{"error":"slow_down","refresh_token":"`+second+`"}`), v1alpha1.RateLimitedReason, 1},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, reusable)
			s.provider.answer(each.answer)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if !result.Called || s.writes() != each.writes {
				t.Errorf("called: %t, the state is written %d times, want %d: %v\nreason: %s", result.Called, s.writes(), each.writes, s.asked, each.reason)
			}
			if state := s.stored(); state.Attempt != nil || !state.Token.IsZero() {
				t.Errorf("the state %s has an attempt or an access token", tokens(state))
			}
			s.isBalanced()
		})
	}
}

// TestAReusableTokenThatIsKnownCostsNoWrite refreshes again what was refreshed before.
func TestAReusableTokenThatIsKnownCostsNoWrite(t *testing.T) {
	t.Parallel()
	s := newScene(t, reusable)
	s.provider.answer(rotates(second), replies(200, `{"access_token":"`+access+`"}`), rotates(second))
	for i, want := range []int{1, 1, 1} {
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.writes() != want {
			t.Errorf("after %d refreshes the state was written %d times, want %d: it says nothing new", i+1, s.writes(), want)
		}
	}
	s.isBalanced()
}

// TestASingleUseTokenCostsTwoWritesAndARead counts a refresh that is not the first.
func TestASingleUseTokenCostsTwoWritesAndARead(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(rotates(second), rotates(third))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.asked = map[string]int{}
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.writes() != 2 || s.requests("get") != 1 || s.requests("list") != 0 {
		t.Errorf("the refresh asks the API server for %v, want a read of the state, and the claim and the commit", s.asked)
	}
	s.isBalanced()
}

// TestATokenOfUnknownOutcomeIsSentOnceMoreAtMost takes up an attempt without an answer.
func TestATokenOfUnknownOutcomeIsSentOnceMoreAtMost(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		described    string
		policy       v1alpha1.UnknownOutcomePolicy
		answer       func() (*egress.Reply, error)
		want         string
		state        string
		next         recovery.Verdict
	}{
		{"RetryOnce, success", "it was not spent, or is honoured again", singleUse, v1alpha1.RetryOnce, rotates(second), "", "second, spent: seed", recovery.Nothing},
		{"in the window, success", "the provider states that it does no harm", windowed, "", rotates(second), "", "second, spent: seed", recovery.Nothing},
		{"the grant is refused", "the first time has spent it", singleUse, v1alpha1.RetryOnce, refuses("invalid_grant"), v1alpha1.RotatedTokenLostReason, "seed, spent: seed", recovery.Nothing},
		{"too many calls", "that says nothing of the first time", singleUse, v1alpha1.RetryOnce, refuses("slow_down"), v1alpha1.RateLimitedReason, "seed claimed again, spent: ", recovery.Unknown},
		{"no answer again", "it is never sent a third time", singleUse, v1alpha1.RetryOnce, breaksOff(), v1alpha1.OutcomeUnknownReason, "seed claimed again, spent: ", recovery.Unknown},
		{"no answer again in the window", "one resend is all", windowed, "", breaksOff(), v1alpha1.OutcomeUnknownReason, "seed claimed again, spent: ", recovery.Unknown},
		{"nothing was sent", "the one resend is not used up", singleUse, v1alpha1.RetryOnce, fails(egress.ErrNotSent), v1alpha1.ProviderUnavailableReason, "seed claimed, spent: ", recovery.Resend},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, each.described)
			s.credential.Spec.OnUnknownOutcome = each.policy
			s.provider.answer(breaksOff(), each.answer)
			if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
				t.Fatalf("the first time ends with %v, want a pause", err)
			}
			first := s.stored().Attempt.Started
			s.clock.SetTime(noon.Add(5 * time.Second))
			_, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			if got := s.recovery(); got != each.next {
				t.Errorf("the next reconcile finds %s, want %s\nreason: %s", got, each.next, each.reason)
			}
			if again := s.stored().Attempt; again != nil && !again.Started.Equal(first) {
				t.Errorf("the attempt began at %s, want %s: the window opened then", again.Started, first)
			}
			s.isBalanced()
		})
	}
}

// TestARetryThatIsRefusedForASuccessorIsNoLoss has the process that sent the token first save
// what that brought, while another sends it once more.
func TestARetryThatIsRefusedForASuccessorIsNoLoss(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"invalid_grant", "slow_down", "invalid_request"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.credential.Spec.OnUnknownOutcome = v1alpha1.RetryOnce
			s.provider.answer(breaksOff())
			if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
				t.Fatalf("the first time ends with %v, want a pause", err)
			}
			first := s.stored()
			s.clock.SetTime(noon.Add(5 * time.Second))
			s.provider.answer(refuses(reason))
			s.provider.during = func() {
				s.keeps(func(stored rotation.State) rotation.State {
					return stored.Commit(token.Grant{RefreshToken: secret.New(second)}, rotation.Exchange{Attempt: first.Attempt.ID, Sent: first.RefreshToken})
				})
			}
			_, err := s.renew(t.Context())
			if got := reasonOf(err); reason == "invalid_grant" && got != "Pause" || got == v1alpha1.RotatedTokenLostReason {
				t.Errorf("it ends with %v, want that the successor is looked at", err)
			}
			if got := s.recovery(); !s.stored().RefreshToken.Equal(secret.New(second)) || s.stored().Lost() || s.stored().IsRefused() || got != recovery.Nothing {
				t.Errorf("the state is %q, and of the attempt it says %s", tokens(s.stored()), got)
			}
		})
	}
}

// TestAWindowThatHasClosedMeanwhileEndsAResend lets time pass between the claim and the
// fence.
func TestAWindowThatHasClosedMeanwhileEndsAResend(t *testing.T) {
	t.Parallel()
	s := newScene(t, windowed)
	s.provider.answer(breaksOff())
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Fatal(err)
	}
	s.clock.SetTime(noon.Add(59 * time.Second))
	s.after = func(verb, _ string) error {
		if verb == "update" && s.clock.Now().Before(noon.Add(time.Minute)) {
			s.clock.SetTime(noon.Add(62 * time.Second))
		}
		return nil
	}
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Errorf("the resend ends with %v, want a pause", err)
	}
	if len(s.provider.sent) != 1 {
		t.Errorf("%d tokens were sent: the last after its window", len(s.provider.sent))
	}
	if got := s.recovery(); got != recovery.Unknown {
		t.Errorf("the next reconcile finds %s, want Unknown: the outcome of the first time still is", got)
	}
	s.isBalanced()
}

// TestALoginTakesThePlaceOfAToken logs in where the refresh token does not serve.
func TestALoginTakesThePlaceOfAToken(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an unknown outcome where a login is at hand")
	for _, each := range []struct {
		name, reason string
		answers      []func() (*egress.Reply, error)
		want         string
		sent         []string
		state        string
	}{
		{"after a refusal", "the user gave a way out", []func() (*egress.Reply, error){refuses("invalid_grant"), rotates(second)}, "",
			[]string{seed, "login"}, "second, spent: "},
		{"after an unknown outcome", "the doubtful token is never sent again", []func() (*egress.Reply, error){breaksOff(), rotates(second)}, "",
			[]string{seed, "login"}, "second, spent: seed"},
		{"after an unknown outcome, with a login that brings no refresh token", "the doubtful token is not live any more, by the ledger",
			[]func() (*egress.Reply, error){breaksOff(), replies(200, `{"access_token":"`+access+`"}`)}, "",
			[]string{seed, "login"}, "seed, spent: seed"},
		{"a login that is refused", "the claim stays, which says that the token may be spent", []func() (*egress.Reply, error){breaksOff(), refuses("invalid_client")}, v1alpha1.AppRejectedReason,
			[]string{seed, "login"}, "seed claimed, spent: "},
		{"a login without an answer", "it spends nothing, and is tried again", []func() (*egress.Reply, error){refuses("invalid_grant"), breaksOff()}, v1alpha1.ProviderUnavailableReason,
			[]string{seed, "login"}, "seed, spent: "},
		{"not for another refusal", "the token is good", []func() (*egress.Reply, error){refuses("slow_down")}, v1alpha1.RateLimitedReason,
			[]string{seed}, "seed, spent: "},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.mayLogIn()
			s.provider.answer(each.answers...)
			_, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			if !slices.Equal(s.provider.sent, each.sent) {
				t.Errorf("it sends %v, want %v\nreason: %s", s.provider.sent, each.sent, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			s.provider.answer(rotates(third))
			if _, err := s.renew(t.Context()); err == nil && each.want == "" && slices.Contains(s.provider.sent[1:], seed) {
				t.Errorf("the next refresh sends %v: the token of before again", s.provider.sent)
			}
			s.isBalanced()
		})
	}
}

// TestARefusalIsRememberedWhereTheStatusAloneTellsIt begins where a login was to take the place
// of a token, and nothing that came of it could be saved.
func TestARefusalIsRememberedWhereTheStatusAloneTellsIt(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		refused      string
		hasLogin     bool
		sent         string
	}{
		{"of the seed", "it would be refused again", seed, true, "login"},
		{"of another token", "what is said of that one does not concern it", second, true, seed},
		{"without a login", "a person asks for it, or has mended what was wrong", seed, false, seed},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			if each.hasLogin {
				s.mayLogIn()
			}
			s.credential.Status.LastAttempt = &v1alpha1.AttemptStatus{
				Reason: v1alpha1.PersistBlockedReason, RefusedToken: s.Saver.States.TokenDigest(s.credential, digestOf(each.refused)),
			}
			s.provider.answer(rotates(third))
			if _, err := s.renew(t.Context()); err != nil || !slices.Equal(s.provider.sent, []string{each.sent}) {
				t.Errorf("it sends %v (%v), want %s\nreason: %s", s.provider.sent, err, each.sent, each.reason)
			}
			s.isBalanced()
		})
	}
}

// TestASeedThatMovesDuringTheCallIsTaken has the user replace the token that the
// provider refuses.
func TestASeedThatMovesDuringTheCallIsTaken(t *testing.T) {
	t.Parallel()
	for _, answer := range []func() (*egress.Reply, error){refuses("invalid_grant"), breaksOff()} {
		s := newScene(t, singleUse)
		s.mayLogIn()
		s.provider.answer(answer, rotates(third))
		s.provider.during = func() {
			s.provider.during = nil
			s.gives(second)
		}
		if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
			t.Errorf("the refresh ends with %v, want a pause: there is another token to try, before a login", err)
		}
		if _, err := s.renew(t.Context()); err != nil {
			t.Error(err)
		}
		if want := []string{seed, second}; !slices.Equal(s.provider.sent, want) {
			t.Errorf("it sends %v, want %v", s.provider.sent, want)
		}
		s.isBalanced()
	}
}

// TestWhatStandsBeforeTheCallCostsNothing has the call held back before the claim.
func TestWhatStandsBeforeTheCallCostsNothing(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		given        func(s *scene)
		described    string
		want         string
		called       bool
	}{
		{"the host may not be called", "it counts as an attempt, and backs off", func(s *scene) { s.provider.denied = egress.ErrDenied }, singleUse, v1alpha1.EgressDeniedReason, true},
		{"the host has no slot", "it is woken when there is one", func(s *scene) { s.freeSlots() }, singleUse, "Pause", false},
		{"the provider's rate is used up", "it comes again when there is a call left", func(*scene) {}, singleUse + "\nrateLimit: {requests: 1, per: 1h}", "Pause", false},
		{"the request cannot be built", "a person must correct it", func(*scene) {}, `
inputs: {app: Required, refreshToken: Required}
refresh:
  request: {method: POST, url: "https://shop.example/token", headers: {X-Token: '${refreshToken + "\n"}'}, form: {secret: "${app.secret}"}}
  response: {accessToken: body.access_token}
rotation: {mode: SingleUse}`, v1alpha1.InvalidParametersReason, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, each.described)
			each.given(s)
			if limit := s.limit(); limit > 0 {
				s.provider.answer(rotates(second))
				if _, err := s.renew(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			sent, writes := len(s.provider.sent), s.writes()
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want || result.Called != each.called {
				t.Errorf("the error is %q (%v), called: %t, want %q, %t\nreason: %s", got, err, result.Called, each.want, each.called, each.reason)
			}
			if len(s.provider.sent) != sent || s.writes() != writes {
				t.Errorf("it sends %v and asks the API server for %v", s.provider.sent, s.asked)
			}
			if p := problem.Of(err); p != nil {
				holdsNoSecret(t, p.Message)
			}
		})
	}
}

// limit of the provider's rate; 0: none.
func (s *scene) limit() int {
	s.Helper()
	in, err := s.Inputs.Gather(s.Context(), s.credential)
	if err != nil {
		s.Fatal(err)
	}
	if in.Provider.RateLimit == nil {
		return 0
	}
	return in.Provider.RateLimit.Requests
}

// TestAPanicInACallLeavesItsSlot panics where the provider is asked, and where its
// reply is measured.
func TestAPanicInACallLeavesItsSlot(t *testing.T) {
	t.Parallel()
	for _, described := range []string{singleUse, reusable} {
		s := newScene(t, described)
		s.provider.answer(func() (*egress.Reply, error) { panic("a mistake") })
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone: whoever runs the reconcile reports it")
				}
			}()
			_, _ = s.renew(t.Context())
		}()
		s.isBalanced()
	}
}

// TestAHostThatCannotBeReachedIsDownForAll reports five calls for which there was no
// connection.
func TestAHostThatCannotBeReachedIsDownForAll(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.Calls.Hosts.Leave(host, another, pace.Unasked, false, noon)
	for range 5 {
		s.provider.answer(fails(egress.ErrUnreachable))
		if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.ProviderUnavailableReason {
			t.Fatal(err)
		}
	}
	elsewhere := another
	elsewhere.Who.Namespace = "elsewhere"
	if got := s.Calls.Hosts.Enter(host, elsewhere, noon); got != pace.Down {
		t.Errorf("another namespace may call: %s, want Down", got)
	}
	result, err := s.renew(t.Context())
	if reasonOf(err) != v1alpha1.ProviderUnavailableReason || !result.Called || len(s.provider.sent) != 5 {
		t.Errorf("the sixth ends with %v, called: %t, after %d calls: a host that is down counts as an attempt, and is not asked", err, result.Called, len(s.provider.sent))
	}
}
