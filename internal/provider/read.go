// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Reply is what came back.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	// CutShort tells that Body is the start of the body alone.
	CutShort bool
}

// Outcome is what a reply means.
type Outcome struct {
	// Reason is v1alpha1.RefreshedReason, one of the reasons that a failure rule
	// may give, or v1alpha1.OutcomeUnknownReason.
	Reason string
	// Message is for people and safe to show; empty on plain success.
	Message string
	// Grant is whatever the reply held, on failure too: an access token that can be
	// used, and a refresh token other than the one that was sent.
	Grant token.Grant
	// RetryAfter is from the header of that name; 0: not stated.
	RetryAfter time.Duration
	// LifetimeIgnored tells that a stated lifetime could not be used.
	LifetimeIgnored bool
}

// Read tells what a reply means. It never panics and never fails: what cannot be
// read is absent, and what nothing proves is OutcomeUnknown.
func (e *Exchange) Read(reply Reply) (outcome Outcome) {
	outcome = Outcome{Reason: v1alpha1.OutcomeUnknownReason, Message: "the provider's reply could not be read"}
	// Replies are untrusted input. Should reading one panic in spite of all care, the
	// tokens read so far are kept; what the panic holds may quote the reply.
	defer func() { _ = recover() }()

	if !reply.CutShort {
		r := e.reader(reply, decode(reply.Body, e.call.response.prefix, e.call.response.format))
		r.readGrant(&outcome)
		outcome.RetryAfter = retryAfter(reply.Header.Get("Retry-After"), e.now)
		outcome.Reason, outcome.Message = r.judge(outcome.Grant)
	}
	if outcome.Reason == v1alpha1.OutcomeUnknownReason && outcome.Grant.RefreshToken.IsZero() {
		e.salvage(reply, &outcome)
	}
	return outcome
}

// reader evaluates a call's response over one reply.
type reader struct {
	call      *Call
	exchange  *Exchange
	status    int
	variables map[string]any
	// badToken tells that the reply holds an access token that cannot be used.
	badToken bool
	// brought tells that the reply holds a refresh token, be it the one sent.
	brought bool
}

// reader of a reply whose body has been decoded.
func (e *Exchange) reader(reply Reply, body any) *reader {
	headers := make(map[string]any, len(reply.Header))
	for name, values := range reply.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	variables := make(map[string]any, len(e.variables())+3)
	for name, value := range e.variables() {
		variables[name] = value
	}
	variables[statusVariable] = int64(reply.Status)
	variables[headersVariable] = headers
	variables[bodyVariable] = body
	return &reader{call: e.call, exchange: e, status: reply.Status, variables: variables}
}

// value evaluates a field; ok is false where it is absent or null, or fails.
func (r *reader) value(field *expression.Expression) (value any, ok bool) {
	if field == nil {
		return nil, false
	}
	value, present, err := field.Value(r.variables)
	return value, err == nil && present && value != nil
}

// text evaluates a field that holds a text or a number.
func (r *reader) text(field *expression.Expression) (text string, ok bool) {
	value, ok := r.value(field)
	if !ok {
		return "", false
	}
	switch value.(type) {
	case string, int64, uint64, float64:
		return expression.TextOf(value)
	}
	return "", false
}

// readGrant fills in what the reply holds. The refresh token comes first: it is
// what must not be lost, and it is kept byte for byte.
func (r *reader) readGrant(outcome *Outcome) {
	response, grant := &r.call.response, &outcome.Grant
	if text, ok := r.text(response.refreshToken); ok && text != "" {
		r.brought = true
		// The token that was sent says nothing new: the old one is kept.
		if fresh := secret.New(text); !fresh.Equal(r.exchange.inputs.RefreshToken) {
			grant.RefreshToken = fresh
		}
	}
	if text, ok := r.text(response.accessToken); ok && text != "" {
		if usable(text) {
			grant.AccessToken = secret.New(text)
		} else {
			r.badToken = true
		}
	}
	grant.Type = "Bearer"
	if text, ok := r.text(response.tokenType); ok && usable(strings.TrimSpace(text)) && strings.TrimSpace(text) != "" {
		grant.Type = strings.TrimSpace(text)
	}
	grant.Outputs = map[string]any{}
	for name, field := range response.outputs {
		if value, ok := r.value(field); ok {
			grant.Outputs[name] = jsonValue(value)
		}
	}
	outcome.LifetimeIgnored = r.readLifetimes(grant)
}

// usable tells whether a token can stand in a header and in a Secret that people
// read: valid UTF-8 without control characters.
func usable(token string) bool {
	return utf8.ValidString(token) && !strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// jsonValue turns what JSON cannot hold into text.
func jsonValue(value any) any {
	switch value := value.(type) {
	case time.Time, time.Duration, []byte:
		text, _ := expression.TextOf(value)
		return text
	case uint64:
		if value <= 1<<63-1 {
			return int64(value)
		}
		return strconv.FormatUint(value, 10)
	case map[string]any:
		for name := range value {
			value[name] = jsonValue(value[name])
		}
	case []any:
		for i := range value {
			value[i] = jsonValue(value[i])
		}
	}
	return value
}

// judge decides the reason, and says why in words.
//
// Where the description states success, that decides; else a 2xx status does,
// unless a failure rule matches. A failure is what its first matching rule says,
// and unknown without one.
func (r *reader) judge(grant token.Grant) (reason, message string) {
	rule := ""
	succeeded := false
	if success := r.call.response.success; success != nil {
		succeeded = success.True(r.variables)
	}
	if !succeeded {
		rule = r.rule()
		if r.call.response.success == nil {
			succeeded = rule == "" && r.status >= 200 && r.status < 300
		}
	}
	switch {
	case succeeded && !grant.AccessToken.IsZero():
		return v1alpha1.RefreshedReason, ""
	case succeeded && r.badToken:
		return v1alpha1.RequestRejectedReason, "the provider's reply holds an access token that cannot be used: it has control characters or is not UTF-8"
	case succeeded && r.call.singleUse && !r.brought:
		// It looks like success and brings nothing: a proxy's page, a reply cut
		// short. The token that was sent may be spent.
		return v1alpha1.OutcomeUnknownReason, fmt.Sprintf("the provider answered %d, with neither an access token nor a refresh token", r.status)
	case succeeded:
		return v1alpha1.RequestRejectedReason, fmt.Sprintf("the provider answered %d, without an access token", r.status)
	case rule != "":
		return rule, r.explain(grant)
	}
	return v1alpha1.OutcomeUnknownReason, r.explain(grant)
}

// rule gives the reason of the first failure rule that matches, or "".
func (r *reader) rule() string {
	for _, failure := range r.call.response.failures {
		if failure.when.True(r.variables) {
			return failure.reason
		}
	}
	return ""
}

// explain says how the provider answered, with its own message where the
// description names one.
func (r *reader) explain(grant token.Grant) string {
	explained := fmt.Sprintf("the provider answered %d", r.status)
	value, ok := r.value(r.call.response.message)
	if !ok {
		return explained
	}
	text, _ := expression.TextOf(value)
	if safe := redact.Message(text, r.secrets(grant)); safe != "" {
		explained += ": " + safe
	}
	return explained
}

// secrets gives every secret of the exchange.
func (r *reader) secrets(grant token.Grant) []string {
	inputs := r.exchange.inputs
	all := []string{inputs.AppKey.Reveal(), inputs.AppSecret.Reveal(), inputs.RefreshToken.Reveal(), inputs.AccessToken.Reveal(),
		grant.AccessToken.Reveal(), grant.RefreshToken.Reveal()}
	for _, value := range inputs.Login {
		all = append(all, value.Reveal())
	}
	for _, outputs := range []map[string]any{inputs.Outputs, grant.Outputs} {
		for _, value := range outputs {
			// A short output, such as a scope, is no secret.
			if text, ok := value.(string); ok && len(text) >= 8 {
				all = append(all, text)
			}
		}
	}
	if text, ok := r.text(r.call.response.accessToken); ok {
		all = append(all, text)
	}
	return all
}
