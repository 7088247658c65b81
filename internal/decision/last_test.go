// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func at(moment time.Time) *metav1.Time { return &metav1.Time{Time: moment} }

// ended is a status whose last attempt ended with a reason, a minute ago.
func ended(reason string) v1alpha1.TokenCredentialStatus {
	return v1alpha1.TokenCredentialStatus{
		LastAttempt: &v1alpha1.AttemptStatus{Reason: reason, Time: *at(noon.Add(-time.Minute)), Inputs: "1/now"},
	}
}

func TestLast(t *testing.T) {
	t.Parallel()
	with := func(known v1alpha1.TokenCredentialStatus, change func(*v1alpha1.TokenCredentialStatus)) v1alpha1.TokenCredentialStatus {
		change(&known)
		return known
	}
	inAnHour := func(known *v1alpha1.TokenCredentialStatus) {
		known.FailedAttempts, known.NextRefreshTime = 1, at(noon.Add(time.Hour))
	}
	for _, c := range []struct {
		name   string
		known  v1alpha1.TokenCredentialStatus
		inputs string
		want   Attempt
		reason string
	}{
		{"no attempt yet", v1alpha1.TokenCredentialStatus{}, "1/now", Attempt{}, "nothing has failed"},
		{"a renewal that is planned", with(ended(v1alpha1.RefreshedReason), func(known *v1alpha1.TokenCredentialStatus) {
			known.NextRefreshTime = at(noon.Add(time.Hour))
		}), "1/now", Attempt{}, "the plan of a renewal holds nothing back"},
		{"a success, and inputs changed", ended(v1alpha1.RefreshedReason), "2/now", Attempt{}, "there is nothing to be mended"},
		{"a failure", with(ended(v1alpha1.ProviderUnavailableReason), inAnHour), "1/now",
			Attempt{Failed: true, RetryAt: noon.Add(time.Hour)}, "it is tried again, after the backoff"},
		{"a failure, and inputs changed", with(ended(v1alpha1.RateLimitedReason), inAnHour), "1/other",
			Attempt{Failed: true, RetryAt: noon.Add(time.Hour), Mended: true}, "what changed may be the cure"},
		{"a failure, and the spec changed", with(ended(v1alpha1.RequestRejectedReason), inAnHour), "2/now",
			Attempt{Failed: true, RetryAt: noon.Add(time.Hour), Mended: true}, "the spec is an input, too"},
		{"a failure, then suspended and resumed", ended(v1alpha1.ProviderUnavailableReason), "1/now",
			Attempt{Failed: true}, "no backoff outlasts the suspension"},
		{"a failure that the API server caused", with(ended(v1alpha1.PersistBlockedReason), inAnHour), "1/now",
			Attempt{Failed: true, RetryAt: noon.Add(time.Hour)}, "it was an attempt, and is tried again as one"},
		{"an address that may not be called", with(ended(v1alpha1.EgressDeniedReason), inAnHour), "1/now",
			Attempt{Failed: true, RetryAt: noon.Add(time.Hour)}, "the operator's flags are no input: it is tried again"},
		{"a refused grant", ended(v1alpha1.ReauthorizationRequiredReason), "1/now", Attempt{Stalled: true}, "a person must act"},
		{"a refused app", ended(v1alpha1.AppRejectedReason), "1/now", Attempt{Stalled: true}, "a person must act"},
		{"a refused app, and its Secret changed", ended(v1alpha1.AppRejectedReason), "1/other", Attempt{Stalled: true, Mended: true}, "the person has acted, perhaps"},
		{"an unknown outcome", ended(v1alpha1.OutcomeUnknownReason), "1/now", Attempt{Stalled: true}, "a person must act"},
		{"a lost token", ended(v1alpha1.RotatedTokenLostReason), "1/now", Attempt{Stalled: true}, "a person must act"},
		{"a token that another credential works on", ended(v1alpha1.DuplicateSourceReason), "1/now", Attempt{Stalled: true}, "a person must act"},
		{"a restored state", ended(v1alpha1.RestoredFromBackupReason), "1/now", Attempt{Stalled: true}, "a person must act"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Last(&c.known, c.inputs)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestIsOutdated(t *testing.T) {
	t.Parallel()
	tomorrow := func(known v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus {
		known.LastAttempt.Time.Time = noon.Add(24 * time.Hour)
		return known
	}
	issued := func(moment time.Time) token.Validity {
		return token.Validity{IssuedAt: moment, ExpiresAt: moment.Add(time.Hour)}
	}
	before, after := issued(noon.Add(-time.Hour)), issued(noon)
	live := secret.New("live")
	seed := rotation.State{Lineage: rotation.Lineage{RefreshToken: live, Seed: live.Digest()}}
	spent := rotation.State{Lineage: rotation.Lineage{RefreshToken: live}}
	spent.Spent = spent.Spent.Add(live.Digest())
	for _, c := range []struct {
		name     string
		known    v1alpha1.TokenCredentialStatus
		noted    token.Validity // the token that the status knows
		count    int64
		current  token.Validity
		state    rotation.State
		recovery recovery.Verdict
		replaced bool
		none     bool // there is no refresh token
		live     bool // the one that was refused is the live one
		want     bool
		reason   string
	}{
		{"no attempt is known", v1alpha1.TokenCredentialStatus{}, token.Validity{}, 0, after, seed, recovery.Nothing, false, false, false, false, "there is nothing to be outdated"},
		{"a failure, and the token from before it", ended(v1alpha1.ProviderUnavailableReason), before, 1, before, seed, recovery.Nothing, false, false, false, false, "it is as the status says"},
		{"a failure, and no token", ended(v1alpha1.ProviderUnavailableReason), token.Validity{}, 0, token.Validity{}, seed, recovery.Nothing, false, false, false, false, "it is as the status says"},
		{"a failure, and a token that came after it", ended(v1alpha1.AppRejectedReason), before, 1, after, seed, recovery.Nothing, false, false, false, true, "another process has got on"},
		{"a failure, and a first token that came after it", ended(v1alpha1.AppRejectedReason), token.Validity{}, 0, after, seed, recovery.Nothing, false, false, false, true, "another process has got on"},
		{"a failure, and a token of the same second", ended(v1alpha1.AppRejectedReason), before, 1, issued(noon.Add(-time.Minute)), seed, recovery.Nothing, false, false, false, true, "status carries whole seconds, and a token is worth more than a failure"},
		{"a failure, and a token from before it that was never published", ended(v1alpha1.ProviderUnavailableReason), token.Validity{}, 1, before, seed, recovery.Nothing, false, false, false, false, "the attempt after that token has failed all the same"},
		{"a failure of tomorrow, and a token that the status does not know", tomorrow(ended(v1alpha1.ProviderUnavailableReason)), before, 1, after, seed, recovery.Nothing, false, false, false, true, "a clock was wrong, so the time of the failure says nothing"},
		{"a failure of tomorrow, and the token from before it", tomorrow(ended(v1alpha1.ProviderUnavailableReason)), before, 1, before, seed, recovery.Nothing, false, false, false, false, "nothing has come since"},
		{"an unknown outcome that was resolved", ended(v1alpha1.OutcomeUnknownReason), before, 1, before, seed, recovery.Nothing, false, false, false, true, "the attempt is over"},
		{"an unknown outcome that stands", ended(v1alpha1.OutcomeUnknownReason), before, 1, before, seed, recovery.Unknown, false, false, false, false, "nothing has been resolved"},
		{"an unknown outcome that may be sent again", ended(v1alpha1.OutcomeUnknownReason), before, 1, before, seed, recovery.Resend, false, false, false, false, "nothing has been resolved"},
		{"an unknown outcome that another process works on", ended(v1alpha1.OutcomeUnknownReason), before, 1, before, seed, recovery.Wait, false, false, false, false, "nothing has been resolved yet"},
		{"a lost token that is still the live one", ended(v1alpha1.RotatedTokenLostReason), before, 1, before, spent, recovery.Nothing, false, false, false, false, "it is still lost"},
		{"a lost token that was replaced", ended(v1alpha1.RotatedTokenLostReason), before, 1, before, seed, recovery.Nothing, false, false, false, true, "there is another one"},
		{"a refused grant", ended(v1alpha1.ReauthorizationRequiredReason), before, 3, before, rotation.State{Sequence: 3}, recovery.Nothing, false, false, false, false, "nothing has come since"},
		{"a refused grant, and the state has got further", ended(v1alpha1.ReauthorizationRequiredReason), before, 3, before, rotation.State{Sequence: 4}, recovery.Nothing, false, false, false, true, "another process got a token with the successor"},
		{"a refused grant, whose token is the live one, and the state has got further", ended(v1alpha1.ReauthorizationRequiredReason), before, 3, before, rotation.State{Sequence: 4}, recovery.Nothing, false, false, true, false, "the status had not counted the token that came before the refusal"},
		{"a refused grant, of a state that was put back", ended(v1alpha1.ReauthorizationRequiredReason), before, 3, before, rotation.State{Sequence: 2}, recovery.Nothing, false, false, false, false, "an older state cures nothing"},
		{"a refused grant, and another token is the live one", ended(v1alpha1.ReauthorizationRequiredReason), before, 3, before, rotation.State{Sequence: 3}, recovery.Nothing, true, false, false, true, "it was refused since another process had spent it, which saved its successor later"},
		{"a refused app, and another token is the live one", ended(v1alpha1.AppRejectedReason), before, 3, before, rotation.State{Sequence: 3}, recovery.Nothing, true, false, false, false, "the app is refused with any token"},
		{"another credential's token that is still the seed", ended(v1alpha1.DuplicateSourceReason), token.Validity{}, 0, token.Validity{}, seed, recovery.Nothing, false, false, false, false, "both still work on it"},
		{"another credential's token that was replaced", ended(v1alpha1.DuplicateSourceReason), token.Validity{}, 0, token.Validity{}, rotation.State{Lineage: rotation.Lineage{RefreshToken: live}}, recovery.Nothing, false, false, false, true, "it has a token of its own since"},
		{"a restored state", ended(v1alpha1.RestoredFromBackupReason), before, 1, before, seed, recovery.Nothing, false, false, false, false, "only a new seed ends that"},
		{"a restored state that was deleted", ended(v1alpha1.RestoredFromBackupReason), before, 1, before, rotation.State{}, recovery.Nothing, false, true, false, true, "no refresh token is left that may be spent, and a login is none"},
		{"a restored state that was deleted, and whose seed is known to be spent", ended(v1alpha1.RestoredFromBackupReason), before, 1, before, spent, recovery.Nothing, false, false, false, true, "that is never sent: a login may take its place, or the loss is told"},
		{"a restored state that was deleted, beside the seed that began it", ended(v1alpha1.RestoredFromBackupReason), before, 1, before, rotation.State{}, recovery.Nothing, false, false, false, false, "that may be spent: only a new one ends that"},
		{"a refused grant, and no refresh token", ended(v1alpha1.ReauthorizationRequiredReason), before, 3, before, rotation.State{Sequence: 3}, recovery.Nothing, false, true, false, false, "what the provider wants of a person it still does"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.known.RefreshCount = c.count
			if !c.noted.IsZero() {
				c.known.LastRefreshTime = at(c.noted.IssuedAt)
			}
			if got := IsOutdated(&c.known, c.current, Found{State: c.state, Recovery: c.recovery, Replaced: c.replaced, NoRefreshToken: c.none, Refused: c.live, Counts: true}, noon); got != c.want {
				t.Errorf("got %t, want %t: %s", got, c.want, c.reason)
			}
		})
	}
}

func TestIsFromFuture(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		known  v1alpha1.TokenCredentialStatus
		want   bool
		reason string
	}{
		{"nothing noted", v1alpha1.TokenCredentialStatus{}, false, "there is no time to be wrong"},
		{"a token from the past", v1alpha1.TokenCredentialStatus{LastRefreshTime: at(noon.Add(-time.Hour))}, false, "so it should be"},
		{"a token from half a minute ahead", v1alpha1.TokenCredentialStatus{LastRefreshTime: at(noon.Add(30 * time.Second))}, false, "clocks of two machines differ that much"},
		{"a token from an hour ahead", v1alpha1.TokenCredentialStatus{LastRefreshTime: at(noon.Add(time.Hour))}, true, "it was written under clock skew"},
		{"a failure from an hour ahead", v1alpha1.TokenCredentialStatus{LastFailureTime: at(noon.Add(time.Hour))}, true, "its backoff would last an hour"},
		{"a renewal that is planned in an hour", v1alpha1.TokenCredentialStatus{NextRefreshTime: at(noon.Add(time.Hour)), ExpirationTime: at(noon.Add(2 * time.Hour))}, false, "a plan is of the future"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := IsFromFuture(&c.known, noon); got != c.want {
				t.Errorf("got %t, want %t: %s", got, c.want, c.reason)
			}
		})
	}
}
