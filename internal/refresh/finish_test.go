// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// twoHops is the provider of the scene with a call that makes the published token of the
// one that the refresh brings.
func twoHops(described string) string {
	return described + `
finish:
- request: {method: POST, url: "https://hop.example/exchange", form: {subject: "${accessToken}", fresh: "${refreshToken}"}}
  response:
    accessToken: body.hop_token
    expiresIn: body.?expires_in
    outputs: {region: "body.?region"}
    failures:
    - {when: status == 503, reason: ProviderUnavailable}
    - {when: status == 401, reason: AppRejected}
`
}

const hop = "hop-canary"

func hops() func() (*egress.Reply, error) {
	return replies(http.StatusOK, `{"hop_token": "`+hop+`", "expires_in": 600, "region": "eu"}`)
}

func (s *scene) hosts() []string {
	s.provider.lock.Lock()
	defer s.provider.lock.Unlock()
	var hosts []string
	for _, call := range s.provider.calls {
		hosts = append(hosts, call.host)
	}
	return hosts
}

func TestAFinishMakesTheTokenThatIsPublished(t *testing.T) {
	t.Parallel()
	for name, provider := range map[string]string{"a token that works once": singleUse, "one that works again": reusable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, twoHops(provider))
			s.provider.during = func() {
				if len(s.hosts()) == 2 && (s.stored().Unfinished == nil || s.stored().RefreshToken.Reveal() != second) {
					t.Error("the second hop is made before the first one is saved")
				}
			}
			s.provider.answer(rotates(second), hops())
			result, err := s.renew(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := result.Token; got.AccessToken.Reveal() != hop || got.Outputs["region"] != "eu" || got.ExpiresAt.Sub(noon) != 10*time.Minute {
				t.Errorf("the token that is published is of %s until %s with %v, want the second hop's", "another", got.ExpiresAt, got.Outputs)
			}
			stored := s.stored()
			if stored.Unfinished != nil || stored.Token.AccessToken.Reveal() != hop || stored.RefreshToken.Reveal() != second {
				t.Error("the state does not hold the second hop's token beside the first one's refresh token")
			}
			if body := s.provider.calls[1].body; !strings.Contains(body, access) || !strings.Contains(body, second) {
				t.Error("the second hop does not see what the first one brought")
			}
			s.isBalanced()
		})
	}
}

// TestAFinishThatFailsIsTriedAgainAlone lets the second hop fail, and goes on after that.
func TestAFinishThatFailsIsTriedAgainAlone(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a second hop that fails after the refresh token has rotated")
	for _, each := range []struct {
		name, reason string
		fails        func() (*egress.Reply, error)
		want         string
		before       func(s *scene) // the next visit
		hosts        []string       // of that
	}{
		{"it is down", "the refresh token has rotated once, and need not rotate for this", replies(http.StatusServiceUnavailable, ``), v1alpha1.ProviderUnavailableReason,
			func(*scene) {}, []string{"hop.example"}},
		{"it does not answer", "nothing that could be unknown was sent", breaksOff(), v1alpha1.ProviderUnavailableReason, func(*scene) {}, []string{"hop.example"}},
		{"it answers what no rule knows", "nothing was spent by it", replies(http.StatusTeapot, `{}`), v1alpha1.ProviderUnavailableReason, func(*scene) {}, []string{"hop.example"}},
		{"it refuses the app", "the reason is the second hop's own", replies(http.StatusUnauthorized, `{}`), v1alpha1.AppRejectedReason, func(*scene) {}, []string{"hop.example"}},
		{"the process dies", "what is due is in the state", replies(http.StatusServiceUnavailable, ``), v1alpha1.ProviderUnavailableReason,
			func(s *scene) { s.start(twoHops(singleUse), "two") }, []string{"hop.example"}},
		{"what it starts from has expired", "then only another refresh helps", replies(http.StatusServiceUnavailable, ``), v1alpha1.ProviderUnavailableReason,
			func(s *scene) { s.clock.SetTime(noon.Add(time.Hour)) }, []string{host, "hop.example"}},
		{"there is a new seed", "that is another grant", replies(http.StatusServiceUnavailable, ``), v1alpha1.ProviderUnavailableReason,
			func(s *scene) { s.gives(third) }, []string{host, "hop.example"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, twoHops(singleUse))
			s.provider.answer(rotates(second), each.fails)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Fatalf("the error is %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			holdsNoSecret(t, err.Error())
			if !strings.Contains(err.Error(), "the refresh before it went well") || !result.Called || !result.Token.IsZero() {
				t.Errorf("%v does not say that the refresh went well; called: %t, a token to publish: %t", err, result.Called, !result.Token.IsZero())
			}
			if stored := s.stored(); stored.RefreshToken.Reveal() != second || stored.Attempt != nil || stored.Unfinished == nil {
				t.Fatalf("the state holds %s: what the refresh brought is to be in it\nreason: %s", tokens(stored), each.reason)
			}
			each.before(s)
			before := len(s.hosts())
			if slices.Contains(each.hosts, host) {
				s.provider.answer(rotates("fourth"))
			}
			s.provider.answer(hops())
			result, err = s.renew(t.Context())
			if err != nil || result.Token.AccessToken.Reveal() != hop {
				t.Fatalf("the next visit ends with %v\nreason: %s", err, each.reason)
			}
			if asked := s.hosts()[before:]; !slices.Equal(asked, each.hosts) {
				t.Errorf("the next visit asks %v, want %v\nreason: %s", asked, each.hosts, each.reason)
			}
			if s.stored().Unfinished != nil {
				t.Error("the finish is due still")
			}
			s.isBalanced()
		})
	}
}

// TestWhatAFinishStartsFromOutlivesTheProcessInTheSpool ends the process between the reply
// and the commit.
func TestWhatAFinishStartsFromOutlivesTheProcessInTheSpool(t *testing.T) {
	t.Parallel()
	s := newScene(t, twoHops(singleUse))
	attempt := rotation.Attempt{ID: "attempt", Holder: s.Saver.Spool.Holder("zero"), Started: noon}
	s.keeps(func(state rotation.State) rotation.State { return state.Adopt(secret.New(seed)).Claim(attempt) })
	grant := token.Grant{RefreshToken: secret.New(second), Unfinished: true, Token: token.Token{
		AccessToken: secret.New(access), Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}}}
	if err := s.Saver.Spool.Put("team", attempt.ID, secret.New(seed), grant); err != nil {
		t.Fatal(err)
	}
	record, err := s.Recover(t.Context(), s.credential)
	if err != nil {
		t.Fatal(err)
	}
	if waiting := record.State.Unfinished; waiting == nil || waiting.AccessToken.Reveal() != access || !record.State.Token.IsZero() {
		t.Error("the first hop's token is taken for the published one, or is lost")
	}
}

// TestAFinishGoesNowhereElse edits where the second hop goes.
func TestAFinishGoesNowhereElse(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an edited URL that would send the live refresh token elsewhere")
	elsewhere := func(described string) string {
		return strings.ReplaceAll(described, "hop.example", "thief.example")
	}
	t.Run("while it is due", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, twoHops(singleUse))
		s.provider.answer(rotates(second), replies(http.StatusServiceUnavailable, ``))
		_, _ = s.renew(t.Context())
		s.start(elsewhere(twoHops(singleUse)), "two")
		_, err := s.renew(t.Context())
		if got := reasonOf(err); got != v1alpha1.ReauthorizationRequiredReason || slices.Contains(s.hosts(), "thief.example") {
			t.Errorf("it ends with %v and has asked %v: the token is not for another host", err, s.hosts())
		}
	})
	t.Run("after it was made", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, twoHops(singleUse))
		s.provider.answer(rotates(second), hops())
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.start(elsewhere(twoHops(singleUse)), "two")
		_, err := s.renew(t.Context())
		if got := reasonOf(err); got != v1alpha1.ReauthorizationRequiredReason || len(s.hosts()) != 2 {
			t.Errorf("it ends with %v and has asked %v: the next access token is not for another host", err, s.hosts())
		}
	})
}

// TestAFinishThatCannotBeSavedIsMadeAgain blocks the write of what it brought.
func TestAFinishThatCannotBeSavedIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, twoHops(singleUse))
	s.provider.answer(rotates(second), func() (*egress.Reply, error) {
		s.failing("update", 1, forbidden())
		return hops()()
	})
	if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.PersistBlockedReason {
		t.Fatalf("it ends with %v, want %s", err, v1alpha1.PersistBlockedReason)
	}
	s.provider.answer(hops())
	if result, err := s.renew(t.Context()); err != nil || result.Token.AccessToken.Reveal() != hop {
		t.Errorf("the next visit ends with %v", err)
	}
	if hosts := s.hosts(); !slices.Equal(hosts, []string{host, "hop.example", "hop.example"}) {
		t.Errorf("it asks %v: one refresh is enough", hosts)
	}
	s.isBalanced()
}
