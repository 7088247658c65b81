// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package weigh says what a reply means: weighed with what is known beside it, what of it
// is kept, and what it says of its host. It is pure.
package weigh

import (
	"errors"
	"maps"
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

// Seen is what is known beside a reply: how the last attempt went, and what was sent.
type Seen struct {
	Status v1alpha1.TokenCredentialStatus
	// Before is for how long the reply's access token is good that was there before; zero:
	// it is new.
	Before token.Validity
	// Extends is true where the step may extend the access token that is there.
	Extends bool
	// Sent is the refresh token, where the step sends one.
	Sent secret.Text
}

// Judge weighs what a reply means with what is known beside it.
func Judge(outcome provider.Outcome, seen Seen) provider.Outcome {
	access := outcome.Grant.AccessToken
	if access.IsZero() {
		return outcome
	}
	before := seen.Before
	if !before.IsZero() && !seen.Extends && outcome.EndIsKnown {
		outcome = repeated(outcome, before)
		if ends := &outcome.Grant.RefreshTokenExpiresAt; access.Equal(seen.Sent) && before.ExpiresAt.Before(*ends) {
			*ends = before.ExpiresAt // the refresh token is the access token, too
		}
	}
	if before.IsZero() && insists(seen.Status, outcome) {
		outcome = taken(outcome)
	}
	outcome.Grant.ExpiresAt = outcome.Grant.ExpiresAt.Truncate(time.Second) // as status carries it
	return outcome
}

// repeated is an outcome whose access token was there before: it ends when it was known
// to end, whatever the reply states now. Servers that keep a token until its end give it
// again until then, with ever less time left, and with 0 at last.
func repeated(outcome provider.Outcome, before token.Validity) provider.Outcome {
	if outcome.LifetimeIgnored {
		outcome.LifetimeIgnored, outcome.Remark = false, "" // nothing is assumed: its end is known
	}
	outcome.Grant.Validity = before.Again(outcome.Grant.Validity)
	if outcome.Reason == v1alpha1.RefreshedReason && !outcome.Grant.ExpiresAt.After(outcome.Grant.IssuedAt) {
		outcome.Reason = v1alpha1.RequestRejectedReason
		outcome.Message = "the provider's reply holds the access token that was there before, which has ended: where it extends tokens, its description says accessToken: accessToken"
		outcome.Grant.Token = token.Token{}
	}
	return outcome
}

// insists reports whether a provider gives tokens in replies that count as failures, for
// the second time in a row. What is tried again would rotate the refresh token each time,
// for ever (ADR 33).
func insists(known v1alpha1.TokenCredentialStatus, outcome provider.Outcome) bool {
	switch outcome.Reason {
	case v1alpha1.RequestRejectedReason, v1alpha1.ProviderUnavailableReason, v1alpha1.RateLimitedReason, v1alpha1.OutcomeUnknownReason:
	default:
		return false
	}
	last := known.LastAttempt
	return last != nil && known.FailedAttempts > 0 && (last.Reason == outcome.Reason ||
		outcome.Reason == v1alpha1.OutcomeUnknownReason && last.Reason == v1alpha1.ProviderUnavailableReason)
}

// taken is an outcome whose tokens are used although it counts as a failure.
func taken(outcome provider.Outcome) provider.Outcome {
	outcome.Remark = "the reply counts as a failure (" + outcome.Reason + ": " + outcome.Message +
		") and brought tokens all the same, again: they are used; correct the provider's description if that is no failure"
	outcome.Reason, outcome.Message, outcome.RetryAfter = v1alpha1.RefreshedReason, "", 0
	return outcome
}

// Following is the state that follows an outcome. The access token is kept only where
// it is not simply asked for again.
func Following(in *inputs.Inputs, state rotation.State, outcome provider.Outcome, exchange rotation.Exchange) rotation.State {
	next := state.Commit(Kept(in, outcome), exchange)
	if !in.KeepsAccessToken(next) {
		next.Token, next.TokenOrigin = token.Token{}, rotation.Origin{} // of which the target then holds the only copy
	}
	return next
}

// Kept is what of an outcome is kept.
func Kept(in *inputs.Inputs, outcome provider.Outcome) token.Grant {
	grant := outcome.Grant
	if outcome.Reason != v1alpha1.RefreshedReason {
		grant.AccessToken = secret.Text{}
	}
	grant.Unfinished = len(in.Provider.Finish) > 0
	return grant
}

// IsNew reports whether a reply holds a refresh token that must not be lost.
func IsNew(grant token.Grant, state rotation.State) bool {
	return !grant.RefreshToken.IsZero() && !grant.RefreshToken.Equal(state.RefreshToken)
}

// IsWorthSaving reports whether the next state says anything new. An access token that is
// not kept, and what came with it, are not.
func IsWorthSaving(in *inputs.Inputs, stored, next rotation.State) bool {
	return in.KeepsAccessToken(next) || !next.RefreshToken.Equal(stored.RefreshToken) ||
		!next.Unfinished.Is(stored.Unfinished) || next.Seed != stored.Seed || next.Origin != stored.Origin || next.Refused != stored.Refused || stored.Attempt != nil
}

// Proves reports whether the outcome of a claimed exchange shows that its token works
// more than once. A token that is sent once more shows nothing: the first time may have
// brought a successor, which is lost, while a reuse window still honours the old one.
func Proves(in *inputs.Inputs, outcome provider.Outcome, resent bool) bool {
	return in.Provider.Rotation.Mode == v1alpha1.Auto && !resent &&
		outcome.Reason == v1alpha1.RefreshedReason && outcome.Grant.RefreshToken.IsZero()
}

// MadeOf is the token that a finish call has made of another: what its reply does not
// state stays as it was.
func MadeOf(before token.Token, outcome provider.Outcome) token.Token {
	made, grant := before, outcome.Grant
	if !grant.AccessToken.IsZero() {
		made.AccessToken, made.Type = grant.AccessToken, grant.Type
	}
	if !grant.ExpiresAt.IsZero() {
		made.Validity = grant.Validity
	}
	made.Outputs = Overlaid(before.Outputs, grant.Outputs)
	return made
}

// Answer is what the outcome of a call means for its host; failure is how the call itself
// went wrong, and spends whether it sent a token that works once.
func Answer(outcome provider.Outcome, failure error, spends bool) pace.Answer {
	isUnclear := failure != nil || outcome.Reason == v1alpha1.OutcomeUnknownReason
	switch {
	case errors.Is(failure, egress.ErrUnreachable):
		return pace.Unreachable
	case errors.Is(failure, egress.ErrDenied), errors.Is(failure, egress.ErrNotSent):
		return pace.Unasked
	case isUnclear && spends:
		return pace.Unclear
	case isUnclear, outcome.Reason == v1alpha1.ProviderUnavailableReason:
		return pace.Unavailable
	case outcome.Reason == v1alpha1.RateLimitedReason:
		return pace.Throttled
	}
	return pace.Served
}

// Overlaid are outputs with others over them.
func Overlaid(outputs, over map[string]any) map[string]any {
	if len(over) == 0 {
		return outputs
	}
	all := make(map[string]any, len(outputs)+len(over))
	maps.Copy(all, outputs)
	maps.Copy(all, over)
	return all
}
