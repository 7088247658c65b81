// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// cached is a reply of a server that keeps a token until its end.
func cached(access, members string) func() (*egress.Reply, error) {
	return replies(http.StatusOK, fmt.Sprintf(`{"access_token":%q%s}`, access, members))
}

// TestATokenThatIsGivenAgainNeverOutlivesItsKnownEnd asks a server that keeps a token until
// its end, as those of client credentials do.
func TestATokenThatIsGivenAgainNeverOutlivesItsKnownEnd(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an access token that is given again")
	known := token.Validity{IssuedAt: noon.Add(-8 * time.Second), ExpiresAt: noon.Add(4 * time.Second)}
	for name, c := range map[string]struct {
		reason   string
		members  string
		access   string
		want     time.Duration // from noon; 0: it is not used
		repeated bool
	}{
		"less time than was left":    {"the reply knows it better", `,"expires_in":3`, access, 3 * time.Second, true},
		"as much as was left":        {"the plain case", `,"expires_in":4`, access, 4 * time.Second, true},
		"a whole lifetime again":     {"the server states what it states of every token", `,"expires_in":12`, access, 4 * time.Second, true},
		"none left":                  {"0 states nothing, and the end is known", `,"expires_in":0`, access, 4 * time.Second, true},
		"none left, as a text":       {"0 states nothing, and the end is known", `,"expires_in":"0"`, access, 4 * time.Second, true},
		"a lifetime that is no use":  {"the end is known", `,"expires_in":"soon"`, access, 4 * time.Second, true},
		"less than none left":        {"it has ended", `,"expires_in":-3`, access, 0, true},
		"nothing is stated":          {"the first end was assumed as well: it is not known", ``, access, time.Hour, false},
		"another token, of 12 s":     {"it is new", `,"expires_in":12`, "other-canary", 12 * time.Second, false},
		"another token, of 0":        {"0 of a new token states nothing", `,"expires_in":0`, "other-canary", time.Hour, false},
		"another token, that is old": {"born dead", `,"expires_in":-3`, "other-canary", 0, false},
	} {
		for _, described := range []string{singleUse, reusable} {
			t.Run(name+described[len(described)-20:], func(t *testing.T) {
				t.Parallel()
				s := newScene(t, described)
				if described == singleUse {
					s.keeps(func(state rotation.State) rotation.State {
						state = state.Adopt(secret.New(seed))
						state.Seed = digestOf(seed)
						state.Token = token.Token{AccessToken: secret.New(access), Validity: known}
						return state
					})
				}
				s.published = func(digest string) token.Validity {
					if described == reusable && digest == digestOf(access) {
						return known
					}
					return token.Validity{}
				}
				s.provider.answer(cached(c.access, c.members))
				result, err := s.renew(t.Context())
				if c.want == 0 {
					if reasonOf(err) != v1alpha1.RequestRejectedReason || !result.Token.IsZero() {
						t.Errorf("a token that has ended is used, with %v\nreason: %s", err, c.reason)
					}
					return
				}
				if got := result.Token.Validity; err != nil || !got.ExpiresAt.Equal(noon.Add(c.want)) || got.Repeated != c.repeated {
					t.Errorf("it is good until %s after noon, repeated %t, with %v; want %s\nreason: %s",
						got.ExpiresAt.Sub(noon), got.Repeated, err, c.want, c.reason)
				}
				if told := result.LifetimeIgnored; c.repeated && told {
					t.Error("nothing is assumed of a token whose end is known, so nothing is told")
				}
			})
		}
	}
}

// TestATokenThatIsGivenAgainBehindItsEndIsNotUsed asks a server that goes on with a token
// that has ended.
func TestATokenThatIsGivenAgainBehindItsEndIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newScene(t, reusable)
	s.published = func(string) token.Validity {
		return token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(-time.Second)}
	}
	s.provider.answer(cached(access, `,"expires_in":3600`))
	result, err := s.renew(t.Context())
	p := problem.Of(err)
	if p == nil || p.Reason != v1alpha1.RequestRejectedReason || !result.Token.IsZero() || !strings.Contains(p.Message, "accessToken: accessToken") {
		t.Errorf("%v, want RequestRejected with what to write", err)
	}
}

// TestATokenThatItsProviderExtendsEndsAsTheReplySays has a provider as WeChat is, which gives
// the token that is there again, with a new end, for as long as it is asked in time.
func TestATokenThatItsProviderExtendsEndsAsTheReplySays(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an access token that is extended")
	extends := strings.Replace(reusable, "accessToken: body.access_token",
		"accessToken: 'body.access_token == accessToken ? accessToken : body.access_token'", 1)
	for name, left := range map[string]time.Duration{"before its known end": time.Minute, "behind its known end": -time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, extends)
			known := token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(left)}
			s.keeps(func(state rotation.State) rotation.State {
				state.Token = token.Token{AccessToken: secret.New(access), Validity: known}
				return state
			})
			s.published = func(string) token.Validity { return known }
			s.provider.answer(cached(access, `,"expires_in":7200`))
			result, err := s.renew(t.Context())
			if got := result.Token.Validity; err != nil || !got.ExpiresAt.Equal(noon.Add(2*time.Hour)) || got.Repeated {
				t.Errorf("it is good until %s after noon, repeated %t, with %v; want two hours", got.ExpiresAt.Sub(noon), got.Repeated, err)
			}
		})
	}
}

// TestAnAccessTokenThatIsTheRefreshTokenEndsWithIt has a provider as Oracle Commerce is.
func TestAnAccessTokenThatIsTheRefreshTokenEndsWithIt(t *testing.T) {
	t.Parallel()
	own := strings.NewReplacer("refreshToken: body.?refresh_token", "refreshToken: body.access_token\n    refreshTokenExpiresIn: body.?expires_in").Replace(reusable)
	s := newScene(t, own)
	s.published = func(digest string) token.Validity {
		if digest != digestOf(seed) {
			return token.Validity{}
		}
		return token.Validity{IssuedAt: noon.Add(-time.Minute), ExpiresAt: noon.Add(time.Minute)}
	}
	s.provider.answer(cached(seed, `,"expires_in":300`))
	result, err := s.renew(t.Context())
	if err != nil || !result.Token.ExpiresAt.Equal(noon.Add(time.Minute)) || !result.RefreshTokenExpiresAt.Equal(noon.Add(time.Minute)) {
		t.Errorf("%v: the token ends at %s, the refresh token at %s", err, result.Token.ExpiresAt, result.RefreshTokenExpiresAt)
	}
}

// TestTokensThatArriveWithAFailureAreUsedTheSecondTime has replies that bring tokens and
// match a failure rule, as where a description takes `error: null` for an error.
func TestTokensThatArriveWithAFailureAreUsedTheSecondTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		answer func() (*egress.Reply, error)
		last   string // reason of the last attempt; empty: it went well
		want   string
	}{
		"the first time":                   {"it is told", replies(400, `{"error":"invalid_request","access_token":"a9","refresh_token":"second-canary"}`), "", v1alpha1.RequestRejectedReason},
		"the second time":                  {"it would rotate for ever", replies(400, `{"error":"invalid_request","access_token":"a9","refresh_token":"second-canary"}`), v1alpha1.RequestRejectedReason, ""},
		"the second time, no rule matches": {"it would rotate for ever", replies(500, `{"access_token":"a9","refresh_token":"second-canary"}`), v1alpha1.ProviderUnavailableReason, ""},
		"the second time, broken":          {"it would rotate for ever", replies(200, `{"access_token":"a9","refresh_token":"second-canary","scope":"re`), v1alpha1.ProviderUnavailableReason, ""},
		"after another failure":            {"it is told", replies(400, `{"error":"invalid_request","access_token":"a9","refresh_token":"second-canary"}`), v1alpha1.RateLimitedReason, v1alpha1.RequestRejectedReason},
		"the grant is refused":             {"that is a person's to mend", replies(400, `{"error":"invalid_grant","access_token":"a9","refresh_token":"second-canary"}`), v1alpha1.ReauthorizationRequiredReason, v1alpha1.ReauthorizationRequiredReason},
		"no access token":                  {"there is nothing to use", replies(400, `{"error":"invalid_request","refresh_token":"second-canary"}`), v1alpha1.RequestRejectedReason, v1alpha1.RequestRejectedReason},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			if c.last != "" {
				s.credential.Status.FailedAttempts = 1
				s.credential.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: c.last}
			}
			s.provider.answer(c.answer)
			result, err := s.renew(t.Context())
			if got := reasonOf(err); got != c.want {
				t.Errorf("the error is %q (%v), want %q\nreason: %s", got, err, c.want, c.reason)
			}
			if got := tokens(s.stored()); !strings.HasPrefix(got, "second, spent: seed") {
				t.Errorf("the state is %q: the successor is kept, whatever else", got)
			}
			if used := !result.Token.IsZero(); used != (c.want == "") || used != strings.Contains(result.Remark, "counts as a failure") {
				t.Errorf("used: %t, with the remark %q", used, result.Remark)
			}
		})
	}
}
