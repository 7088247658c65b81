// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// judge weighs what a reply means with what is known beside it: the token that is there,
// and how the last attempt went.
func (c *call) judge(outcome provider.Outcome) provider.Outcome {
	access := outcome.Grant.AccessToken
	if access.IsZero() {
		return outcome
	}
	before := c.known(access)
	if !before.IsZero() && !c.extends && outcome.EndIsKnown {
		outcome = repeated(outcome, before)
		if ends := &outcome.Grant.RefreshTokenExpiresAt; access.Equal(c.sent) && before.ExpiresAt.Before(*ends) {
			*ends = before.ExpiresAt // the refresh token is the access token, too
		}
	}
	if before.IsZero() && insists(c.job.Credential.Status, outcome) {
		outcome = taken(outcome)
	}
	outcome.Grant.ExpiresAt = outcome.Grant.ExpiresAt.Truncate(time.Second) // as status carries it
	return outcome
}

// known is for how long an access token is good that was there before; zero: it is new.
func (c *call) known(access secret.Text) token.Validity {
	switch {
	case access.Equal(c.current.AccessToken):
		return c.current.Validity
	case c.job.Published != nil:
		return c.job.Published(access.Digest())
	}
	return token.Validity{}
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
