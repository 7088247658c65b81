// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// isComplete reports whether a reply that counts as success brings what its call is for.
func (r *reader) isComplete(grant token.Grant) bool {
	switch r.call.role {
	case prepares:
		return len(grant.Outputs) > 0
	case finishes:
		if r.call.response.accessToken == nil {
			return len(grant.Outputs) > 0
		}
	case revokes:
		return true
	case authorizes:
		return !grant.AccessToken.IsZero() || !grant.RefreshToken.IsZero()
	}
	return !grant.AccessToken.IsZero()
}

// wanted names what the reply should have brought.
func (r *reader) wanted() string {
	switch {
	case r.call.role == prepares, r.call.role == finishes && r.call.response.accessToken == nil:
		return "any of the outputs that it is asked for"
	case r.call.role == authorizes:
		return "a token"
	}
	return "an access token"
}

// unknown is what a reply means that nothing explains. A call that cannot have spent
// anything is simply made again.
func (c *Call) unknown() string {
	switch c.role {
	case prepares, finishes, revokes:
		return v1alpha1.ProviderUnavailableReason
	}
	return v1alpha1.OutcomeUnknownReason
}

// conclude adds what depends on what the reply means: how long to wait, whether to send
// again, and what of the grant is the call's to give.
func (r *reader) conclude(outcome *Outcome) {
	if value, ok := r.value(r.call.response.retryAfter); ok {
		outcome.RetryAfter = max(outcome.RetryAfter, pauseOf(value, r.exchange.now))
	}
	if outcome.Reason == string(v1alpha1.SendAgain) {
		r.sendAgain(outcome)
	}
	outcome.Grant = r.call.share(outcome.Grant)
}

// share is what of a grant is the call's to give. The end of a token is zero where the
// reply states none and none can be assumed.
func (c *Call) share(grant token.Grant) token.Grant {
	switch c.role {
	case prepares:
		grant = token.Grant{Token: token.Token{Outputs: grant.Outputs, Validity: grant.Validity}}
	case finishes:
		grant.RefreshToken, grant.RefreshTokenExpiresAt = secret.Text{}, time.Time{}
		if grant.AccessToken.IsZero() {
			grant.Type = ""
		}
	case revokes:
		return token.Grant{}
	default:
		return grant
	}
	if !grant.ExpiresAt.After(grant.IssuedAt) {
		grant.ExpiresAt = time.Time{}
	}
	return grant
}

// sendAgain makes of a rule that asks to send again what the caller needs for it. A reply
// that brings another refresh token, or not one of the outputs that the rule names, is
// none to send again after.
func (r *reader) sendAgain(outcome *Outcome) {
	outcome.Reason = v1alpha1.RequestRejectedReason
	outputs := r.outputs(r.matched.outputs)
	switch {
	case len(r.matched.outputs) > 0 && len(outputs) == 0:
		outcome.Message += ", without what the request needs to be sent again"
	case outcome.Grant.RefreshToken.IsZero() && outcome.UnkeptRefreshToken == 0:
		outcome.SendAgain, outcome.Outputs = true, outputs
	}
}

// pauseOf reads how long a provider asks to wait: a number of seconds, a duration, or a
// moment, a number since 1970 among them. What cannot be read, or has passed, is 0; more
// than longestPause is longestPause.
func pauseOf(value any, now time.Time) time.Duration {
	pause := time.Duration(0)
	switch value := value.(type) {
	case time.Duration:
		pause = value
	case time.Time:
		pause = value.Sub(now)
	default:
		seconds, _, isNumber := numeric(value)
		text, _ := value.(string)
		moment, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
		switch {
		case isNumber && seconds > longestLifetime.Seconds(): // since 1970
			pause = time.Unix(int64(min(seconds, 1e11)), 0).Sub(now)
		case isNumber:
			pause = time.Duration(seconds * float64(time.Second))
		case err == nil:
			pause = moment.Sub(now)
		default:
			pause = retryAfter(text, now)
		}
	}
	return max(0, min(pause, longestPause))
}

// longestPause is how long a provider may ask to wait.
const longestPause = 24 * time.Hour
