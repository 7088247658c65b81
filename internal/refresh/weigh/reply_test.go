// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package weigh

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// brings an access token that is good for so long, for a reason.
func brings(reason string, lasts time.Duration) provider.Outcome {
	outcome := provider.Outcome{Reason: reason, EndIsKnown: true}
	outcome.Grant.Token = token.Token{AccessToken: secret.New("access"), Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(lasts)}}
	return outcome
}

func TestAReplyIsWeighedWithWhatIsKnownBesideIt(t *testing.T) {
	t.Parallel()
	before := token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(time.Minute)}
	failed := v1alpha1.TokenCredentialStatus{FailedAttempts: 1, LastAttempt: &v1alpha1.AttemptStatus{Reason: v1alpha1.RequestRejectedReason}}
	for _, each := range []struct {
		name, reason string
		outcome      provider.Outcome
		seen         Seen
		want         string
		ends         time.Time
	}{
		{"a new token", "it is as the reply says", brings(v1alpha1.RefreshedReason, time.Hour), Seen{}, v1alpha1.RefreshedReason, noon.Add(time.Hour)},
		{"a part of a second", "the status carries whole ones", brings(v1alpha1.RefreshedReason, time.Hour+time.Millisecond), Seen{}, v1alpha1.RefreshedReason, noon.Add(time.Hour)},
		{"the token that was there", "its end is known", brings(v1alpha1.RefreshedReason, time.Hour), Seen{Before: before}, v1alpha1.RefreshedReason, before.ExpiresAt},
		{"the token that was there, extended", "the step is there for that", brings(v1alpha1.RefreshedReason, time.Hour), Seen{Before: before, Extends: true}, v1alpha1.RefreshedReason, noon.Add(time.Hour)},
		{"a failure with a token", "the first may be one", brings(v1alpha1.RequestRejectedReason, time.Hour), Seen{}, v1alpha1.RequestRejectedReason, noon.Add(time.Hour)},
		{"a failure with a token, again", "what is tried again would rotate for ever", brings(v1alpha1.RequestRejectedReason, time.Hour), Seen{Status: failed}, v1alpha1.RefreshedReason, noon.Add(time.Hour)},
		{"a refusal with a token, again", "a person must act", brings(v1alpha1.AppRejectedReason, time.Hour), Seen{Status: failed}, v1alpha1.AppRejectedReason, noon.Add(time.Hour)},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := Judge(each.outcome, each.seen); got.Reason != each.want || !got.Grant.ExpiresAt.Equal(each.ends) {
				t.Errorf("it is %s and ends at %s, want %s at %s\nreason: %s", got.Reason, got.Grant.ExpiresAt, each.want, each.ends, each.reason)
			}
		})
	}
}

func TestOnlyAReplyWithoutAnotherTokenProvesTheOneThatWasSent(t *testing.T) {
	t.Parallel()
	auto := &inputs.Inputs{Provider: inputs.Provider{Provider: &provider.Provider{}}}
	auto.Provider.Rotation.Mode = v1alpha1.Auto
	once := &inputs.Inputs{Provider: inputs.Provider{Provider: &provider.Provider{}}}
	once.Provider.Rotation.Mode = v1alpha1.SingleUse
	rotated := brings(v1alpha1.RefreshedReason, time.Hour)
	rotated.Grant.RefreshToken = secret.New("next")
	for _, each := range []struct {
		name, reason string
		in           *inputs.Inputs
		outcome      provider.Outcome
		resent, want bool
	}{
		{"an access token alone", "the token works again", auto, brings(v1alpha1.RefreshedReason, time.Hour), false, true},
		{"another refresh token", "the one that was sent is spent", auto, rotated, false, false},
		{"a failure", "nothing is shown", auto, brings(v1alpha1.RateLimitedReason, time.Hour), false, false},
		{"a token that was sent once more", "the first time may have brought a successor", auto, brings(v1alpha1.RefreshedReason, time.Hour), true, false},
		{"a provider that rotates by its description", "that is the word that counts", once, brings(v1alpha1.RefreshedReason, time.Hour), false, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := Proves(each.in, each.outcome, each.resent); got != each.want {
				t.Errorf("proves: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestWhatIsSavedOfATokenThatWorksAgain(t *testing.T) {
	t.Parallel()
	reusable := &inputs.Inputs{Provider: inputs.Provider{Provider: &provider.Provider{}}}
	reusable.Provider.Rotation.Mode = v1alpha1.Reusable
	for _, each := range []struct {
		name, reason string
		change       func(*rotation.State)
		want         bool
	}{
		{"nothing new", "the target has the only copy of the access token", func(*rotation.State) {}, false},
		{"another access token", "it is asked for again", func(s *rotation.State) { s.Token.AccessToken = secret.New("other") }, false},
		{"another refresh token", "it is nowhere else", func(s *rotation.State) { s.RefreshToken = secret.New("next") }, true},
		{"another seed", "it is not adopted twice", func(s *rotation.State) { s.Seed = "digest" }, true},
		{"another origin", "its tokens go nowhere else", func(s *rotation.State) { s.Origin.Refresh = "https://a.example" }, true},
		{"a refusal", "the token is not sent again beside a login", func(s *rotation.State) { *s = s.Refuse() }, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			stored := rotation.State{}
			stored.RefreshToken = secret.New("live")
			next := stored
			each.change(&next)
			if got := IsWorthSaving(reusable, stored, next); got != each.want {
				t.Errorf("worth saving: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestWhatAnOutcomeMeansForItsHost(t *testing.T) {
	t.Parallel()
	served := provider.Outcome{Reason: v1alpha1.RefreshedReason}
	for _, each := range []struct {
		name    string
		outcome provider.Outcome
		failure error
		spends  bool
		want    pace.Answer
	}{
		{"a token: it serves", served, nil, true, pace.Served},
		{"a refusal: it serves", provider.Outcome{Reason: v1alpha1.AppRejectedReason}, nil, true, pace.Served},
		{"too many calls: it throttles", provider.Outcome{Reason: v1alpha1.RateLimitedReason}, nil, true, pace.Throttled},
		{"it cannot serve now", provider.Outcome{Reason: v1alpha1.ProviderUnavailableReason}, nil, true, pace.Unavailable},
		{"no connection", provider.Outcome{}, egress.ErrUnreachable, true, pace.Unreachable},
		{"nothing was sent: it was not asked", provider.Outcome{}, egress.ErrNotSent, true, pace.Unasked},
		{"no clear answer to a token that works once", provider.Outcome{Reason: v1alpha1.OutcomeUnknownReason}, nil, true, pace.Unclear},
		{"no clear answer to another", provider.Outcome{Reason: v1alpha1.OutcomeUnknownReason}, nil, false, pace.Unavailable},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := Answer(each.outcome, each.failure, each.spends); got != each.want {
				t.Errorf("got %v, want %v", got, each.want)
			}
		})
	}
}
