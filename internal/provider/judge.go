// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/pause"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/standard"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// judge decides the reason, and says why in words.
//
// Where the description states success, that decides; else a 2xx status does,
// unless a failure rule matches. A failure is what its first matching rule says,
// and unknown without one.
func (r *reader) judge(grant token.Grant) (reason, message string) {
	rule := ""
	succeeded := false
	if success := r.call.Response.Success; success != nil {
		succeeded = success.True(r.variables)
	}
	if !succeeded {
		rule = r.rule()
		if r.call.Response.Success == nil {
			succeeded = rule == "" && r.status >= 200 && r.status < 300
		}
	}
	switch {
	case succeeded && r.unusable != "":
		return v1alpha1.RequestRejectedReason, "the provider's reply holds " + r.unusable
	case succeeded && r.call.isComplete(grant):
		return v1alpha1.RefreshedReason, ""
	case succeeded && r.call.MaySpend && !r.brought:
		// It looks like success and brings nothing: a proxy's page, a reply cut
		// short. The token that was sent may be spent.
		return v1alpha1.OutcomeUnknownReason, r.explain(grant) + ", with neither an access token nor a refresh token"
	case succeeded:
		return v1alpha1.RequestRejectedReason, r.explain(grant) + ", without " + r.call.wanted()
	case rule != "":
		return rule, r.explain(grant)
	}
	explained := r.explain(grant)
	if r.status < http.StatusInternalServerError && (r.status < 300 || r.status >= 400) {
		explained += ", which no failure rule of the provider matches"
	}
	return r.call.unknown(), explained
}

// rule gives the reason of the first failure rule that matches, the description's own
// before the standard ones, or "".
func (r *reader) rule() string {
	for i, failure := range r.call.Response.Failures {
		if failure.When.True(r.variables) {
			r.matched = &r.call.Response.Failures[i]
			return failure.Reason
		}
	}
	if r.call.Response.StandardFailures {
		return standard.Reason(r.status, r.variables[variable.Headers], r.variables[variable.Body], r.variables[expression.BudgetKey])
	}
	return ""
}

// conclude adds what depends on what the reply means: how long to wait, whether to send
// again, and what of the grant is the call's to give.
func (r *reader) conclude(outcome *Outcome) {
	if value, ok := r.variables.of(r.call.Response.RetryAfter); ok {
		outcome.RetryAfter = max(outcome.RetryAfter, pause.Of(value, r.exchange.now))
	} else if outcome.Reason == v1alpha1.RateLimitedReason && outcome.RetryAfter == 0 {
		outcome.RetryAfter = pause.Limited(r.header, r.variables[variable.Body], r.exchange.now)
	}
	if outcome.Reason == string(v1alpha1.SendAgain) {
		r.sendAgain(outcome)
	}
	outcome.Grant = r.call.share(outcome.Grant)
}

// sendAgain makes of a rule that asks to send again what the caller needs for it. A reply
// that brings another refresh token, or not one of the outputs that the rule names, is
// none to send again after.
func (r *reader) sendAgain(outcome *Outcome) {
	outcome.Reason = v1alpha1.RequestRejectedReason
	outputs := r.outputs(r.matched.Outputs)
	switch {
	case len(r.matched.Outputs) > 0 && len(outputs) == 0:
		outcome.Message += ", without what the request needs to be sent again"
	case outcome.Grant.RefreshToken.IsZero() && outcome.UnkeptRefreshToken == 0:
		outcome.SendAgain, outcome.Outputs = true, outputs
	}
}
