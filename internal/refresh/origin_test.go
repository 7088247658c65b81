// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// freeHost is the provider of the scene at a host that its user chooses, and its calls
// build on the last reply.
func freeHost(described string) string {
	return strings.NewReplacer(
		"login: [password]", `login: [password], parameters: [{name: host, default: shop.example, pattern: "^[a-z.]+$"}, {name: path, default: token}]`,
		"https://shop.example/token", "https://${parameters.host}/${parameters.path}",
		"https://shop.example/login", "https://${parameters.host}/login",
		`refresh_token: "${refreshToken}"`, `refresh_token: "${refreshToken}", device: "${outputs.?device}", before: "${accessToken}"`,
		`password: "${login.password}"`, `password: "${login.password}", device: "${outputs.?device}", before: "${accessToken}"`,
		"accessToken: body.access_token", "accessToken: body.access_token\n    outputs: {device: \"body.?device\"}",
	).Replace(described)
}

const (
	device  = "device-canary"
	granted = `{"access_token": "` + access + `", "refresh_token": "` + second + `", "device": "` + device + `"}`
)

// TestAChangedOriginIsSentNothingOfTheOldOne edits a credential that has a token.
func TestAChangedOriginIsSentNothingOfTheOldOne(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an edited URL that would send the live refresh token elsewhere")
	const elsewhere = "thief.example"
	for _, each := range []struct {
		name, reason string
		provider     string
		edit         func(s *scene)
		sent         []asked // after the edit: what is in the body, in part
		never        []string
		want         string // the reason; empty: a token comes
	}{
		{"another host", "the live refresh token is the old one's", singleUse, func(*scene) {}, nil, nil, v1alpha1.ReauthorizationRequiredReason},
		{"another host, of a token that works again", "it is the old one's as well", reusable, func(*scene) {}, nil, nil, v1alpha1.ReauthorizationRequiredReason},
		{"another host, and a new seed", "that is a new grant: nothing of the old one goes with it", singleUse, func(s *scene) { s.gives(third) },
			[]asked{{elsewhere, third}}, []string{second, seed, access, device}, ""},
		{"another host, and a login", "that is a new grant: nothing of the old one goes with it", singleUse, func(s *scene) { s.mayLogIn() },
			[]asked{{elsewhere, password}}, []string{second, seed, access, device}, ""},
		{"another path", "it is the same origin", singleUse, func(s *scene) {
			s.credential.Spec.Parameters = map[string]string{"path": "other"}
		}, []asked{{host, second}}, nil, ""},
		{"the host in capitals, with its port", "it is the same origin", strings.ReplaceAll(singleUse, "shop.example/token", "SHOP.example.:443/token"), func(s *scene) {
			s.credential.Spec.Parameters = nil
		}, []asked{{host, second}}, nil, ""},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, freeHost(singleUse))
			if each.provider == reusable {
				s.start(freeHost(reusable), "one")
			}
			s.provider.answer(replies(http.StatusOK, granted))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.start(freeHost(each.provider), "two")
			s.credential.Spec.Parameters = map[string]string{"host": elsewhere}
			each.edit(s)
			before := len(s.provider.calls)
			s.provider.answer(replies(http.StatusOK, `{"access_token": "new", "refresh_token": "newer"}`))
			_, err := s.renew(t.Context())
			asked := s.provider.calls[before:]
			if p := problem.Of(err); (p == nil) != (each.want == "") || p != nil && p.Reason != each.want {
				t.Fatalf("the error is %v, want %q\nreason: %s", err, each.want, each.reason)
			}
			if len(asked) != len(each.sent) {
				t.Fatalf("%d calls, want %d\nreason: %s", len(asked), len(each.sent), each.reason)
			}
			for i, want := range each.sent {
				if !strings.EqualFold(strings.TrimSuffix(strings.TrimSuffix(asked[i].host, ":443"), "."), want.host) || !strings.Contains(asked[i].body, want.body) {
					t.Errorf("the call went to %s, or did not hold what it should\nreason: %s", asked[i].host, each.reason)
				}
				for _, canary := range each.never {
					if strings.Contains(asked[i].body, canary) {
						t.Errorf("%s was sent to %s\nreason: %s", canary, asked[i].host, each.reason)
					}
				}
			}
			if each.want != "" {
				for _, part := range []string{"https://shop.example", "https://" + elsewhere, "put the new refresh token"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%v does not say %q", err, part)
					}
				}
				if live := s.stored().RefreshToken.Reveal(); live != second {
					t.Error("the live refresh token is lost")
				}
			}
		})
	}
}

// TestASeedFollowsACorrectedURLUntilItIsSent corrects the host after a first call.
func TestASeedFollowsACorrectedURLUntilItIsSent(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		first        func() (*egress.Reply, error)
		follows      bool
	}{
		{"the mistyped host does not exist", "nobody got the seed", fails(egress.ErrNotSent), true},
		{"the mistyped host refuses the request", "it has got the seed, whoever it is", refuses("invalid_request"), false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, freeHost(singleUse))
			s.credential.Spec.Parameters = map[string]string{"host": "shpo.example"}
			s.provider.answer(each.first, replies(http.StatusOK, granted))
			if _, err := s.renew(t.Context()); err == nil {
				t.Fatal("the first call is well")
			}
			s.credential.Spec.Parameters = nil
			_, err := s.renew(t.Context())
			if follows := err == nil; follows != each.follows {
				t.Errorf("the seed follows: %t, want %t (%v)\nreason: %s", follows, each.follows, err, each.reason)
			}
			if !each.follows && !problem.Is(err, v1alpha1.ReauthorizationRequiredReason) {
				t.Errorf("the error is %v, want that a person must authorize again", err)
			}
		})
	}
}

// TestAStateWithoutAnOriginTakesThePresentOne renews what a version before this one kept.
func TestAStateWithoutAnOriginTakesThePresentOne(t *testing.T) {
	t.Parallel()
	for _, described := range []string{singleUse, reusable} {
		s := newScene(t, freeHost(described))
		s.keeps(func(state rotation.State) rotation.State {
			state = state.Adopt(secret.New(seed))
			state.Token = token.Token{AccessToken: secret.New(access)}
			return state
		})
		s.provider.answer(replies(http.StatusOK, `{"access_token": "new"}`))
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.stored().Origin.Refresh; got != "https://shop.example" {
			t.Errorf("the state is bound to %q: from its next commit on no edit is to send its token elsewhere", got)
		}
	}
}

// TestAHostOfTheRepliesChoiceIsBoundToTheParameters has a reply say which host is next.
func TestAHostOfTheRepliesChoiceIsBoundToTheParameters(t *testing.T) {
	t.Parallel()
	described := strings.ReplaceAll(freeHost(singleUse), "https://${parameters.host}/${parameters.path}", `https://${outputs[?'device'].orValue('first')}.${parameters.host}/token`)
	s := newScene(t, described)
	s.provider.answer(
		replies(http.StatusOK, `{"access_token": "a", "refresh_token": "r", "device": "eu"}`),
		replies(http.StatusOK, `{"access_token": "b", "refresh_token": "q", "device": "us"}`))
	for range 2 {
		if _, err := s.renew(t.Context()); err != nil {
			t.Fatalf("the provider's own word moves the call to another host: %v", err)
		}
	}
	if got := s.provider.calls[1].host; got != "eu.shop.example" {
		t.Errorf("the second call went to %s", got)
	}
	s.credential.Spec.Parameters = map[string]string{"host": "thief.example"}
	if _, err := s.renew(t.Context()); !problem.Is(err, v1alpha1.ReauthorizationRequiredReason) {
		t.Errorf("an edit of what the host is made of sends the token elsewhere: %v", err)
	}
}
