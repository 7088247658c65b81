// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/body"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/pause"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/standard"
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
	// Flaw says what was wrong with what the body came in, such as its Content-Encoding;
	// empty: nothing.
	Flaw string
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
	// RetryAfter is from the header of that name, or from the reply's retryAfter; 0: not
	// stated.
	RetryAfter time.Duration
	// SendAgain tells that nothing was spent and that the same call is to be made once
	// more, at once, with Outputs (Exchange.Again). Reason and Message are what holds
	// where that is not done, or was done before.
	SendAgain bool
	// Outputs are those of the failure rule that asks to send again.
	Outputs map[string]any
	// LifetimeIgnored tells that a stated lifetime could not be used.
	LifetimeIgnored bool
	// EndIsKnown tells that the access token's end was stated in some way, or is declared
	// in the description. Else it is assumed.
	EndIsKnown bool
	// Remark says what was wrong with a reply that could be used all the same, for
	// people and safe to show; empty: nothing.
	Remark string
	// UnkeptRefreshToken is the size, in bytes, of a refresh token in the reply that is
	// too large to be kept; 0: there is none. Where the one that was sent works once,
	// its successor is lost.
	UnkeptRefreshToken int
}

// remark adds to what was wrong with the reply.
func (o *Outcome) remark(remarks ...string) {
	for _, remark := range remarks {
		if remark != "" && !strings.Contains(o.Remark, remark) {
			o.Remark = strings.TrimPrefix(o.Remark+"; "+remark, "; ")
		}
	}
}

// frameIs says what was wrong with what the body came in: as a remark on tokens, or as
// what a failure may come of.
func (o *Outcome) frameIs(flaw string) {
	if o.Reason == v1alpha1.RefreshedReason {
		o.remark("the frame of the provider's reply is wrong: " + flaw)
		return
	}
	o.Message += " (the frame of the reply is wrong: " + flaw + ")"
}

// noToken is what is left of a token that is not used.
var noToken secret.Text

// maxReading bounds the memory of all replies that are read at the same time, in
// bytes. What is beyond it waits: reading takes processor time alone, and not much.
const maxReading = 32 << 20

// How much memory reading a reply takes: what jsontext.MaxValues take, and several
// copies of each byte, which are longer where the body is not UTF-8.
const (
	readingOverhead  = 1 << 20
	readingFactor    = 8
	readingEscapable = 36
)

// reading is the one budget of all exchanges.
var reading = semaphore.NewWeighted(maxReading)

// readingWeight is how much of the budget a body takes.
func readingWeight(body []byte) int64 {
	factor := int64(readingFactor)
	if !utf8.Valid(body) {
		factor = readingEscapable
	}
	return min(maxReading, readingOverhead+factor*int64(len(body)))
}

// Read tells what a reply means. It never panics and never fails: what cannot be
// read is absent, and what nothing proves is OutcomeUnknown.
func (e *Exchange) Read(reply Reply) (outcome Outcome) {
	outcome = Outcome{Reason: e.call.unknown(), Message: "the provider's reply could not be read"}
	// Replies are untrusted input. Should reading one panic in spite of all care, the
	// tokens read so far are kept; what the panic holds may quote the reply.
	defer func() { _ = recover() }()

	weight := readingWeight(reply.Body)
	if err := reading.Acquire(context.Background(), weight); err != nil { // no context, no error
		return outcome
	}
	defer reading.Release(weight)
	broken, tooMuch := e.readWhole(reply, &outcome)
	brought := !outcome.Grant.RefreshToken.IsZero() || outcome.UnkeptRefreshToken > 0 || !outcome.Grant.AccessToken.IsZero()
	if !brought && broken && (tooMuch != nil || outcome.Reason == v1alpha1.OutcomeUnknownReason) {
		e.salvage(reply, tooMuch, &outcome)
	}
	return outcome
}

// readWhole reads a reply that has come to its end, as it was announced or since its body
// shows its own end. It is broken where its body is no JSON; tooMuch says that its body
// holds more than is read.
func (e *Exchange) readWhole(reply Reply, outcome *Outcome) (broken bool, tooMuch error) {
	content := e.source(reply).Read(func(value any) bool { return e.holdsToken(reply, value) })
	if reply.CutShort && !content.Ends {
		return true, nil
	}
	r := e.reader(reply, content.Value)
	r.readGrant(outcome)
	outcome.RetryAfter = pause.RetryAfter(reply.Header, e.now)
	outcome.Reason, outcome.Message = r.judge(outcome.Grant)
	r.conclude(outcome)
	if content.Err != nil && outcome.Message != "" {
		outcome.Message += fmt.Sprintf(" (its body was not read: %v)", content.Err)
	}
	if content.Flaw != "" {
		outcome.frameIs(content.Flaw)
	}
	return content.Kind != body.JSON || content.Flaw != reply.Flaw, content.Err
}

// reader evaluates a call's response over one reply.
type reader struct {
	call      *Call
	exchange  *Exchange
	status    int
	header    http.Header
	variables map[string]any
	// unusable says why what the reply holds cannot be used; empty: it can.
	unusable string
	// brought tells that the reply holds a refresh token, be it the one sent.
	brought bool
	// matched is the failure rule that says what the reply means; nil: none does.
	matched *failure
}

// reader of a reply whose body has been decoded.
func (e *Exchange) reader(reply Reply, body any) *reader {
	variables := e.variables() // the exchange's own: its request has been built
	variables[statusVariable] = int64(reply.Status)
	variables[headersVariable] = func() any { return headersOf(reply.Header) } // made when an expression asks
	variables[bodyVariable] = body
	variables[expression.BudgetKey] = expression.NewBudget()
	return &reader{call: e.call, exchange: e, status: reply.Status, header: reply.Header, variables: variables}
}

// headersOf gives headers by lower-case name.
func headersOf(header http.Header) map[string]any {
	headers := make(map[string]any, len(header))
	for name, values := range header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return headers
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
		r.takeRefreshToken(text, outcome)
	}
	if text, ok := r.text(response.accessToken); ok && text != "" {
		r.takeAccessToken(text, outcome)
	}
	grant.Type = "Bearer"
	if text, ok := r.text(response.tokenType); ok && isType(strings.TrimSpace(text)) {
		grant.Type = strings.TrimSpace(text)
	}
	grant.Outputs = r.outputs(r.call.response.outputs)
	r.readLifetimes(outcome)
}

// takeAccessToken takes an access token of the reply. White space around it is left out: no
// header has room for it (RFC 6750 section 2.1), and a reader of the Secret would send it.
func (r *reader) takeAccessToken(text string, outcome *Outcome) {
	bare := strings.TrimSpace(text)
	switch {
	case len(bare) > token.MaxSize:
		r.unusable = tooLarge("access token", len(bare))
	case bare == "":
		r.unusable = "an access token that cannot be used: it is white space"
	case !usable(bare):
		r.unusable = "an access token that cannot be used: it has control characters or is not UTF-8"
	default:
		outcome.Grant.AccessToken = secret.New(bare)
		if bare != text {
			outcome.remark("there was white space around the access token, which is left out")
		}
	}
}

// takeRefreshToken keeps a refresh token of the reply, if it is not the one that was
// sent: that says nothing new.
func (r *reader) takeRefreshToken(text string, outcome *Outcome) {
	switch fresh := secret.New(text); {
	case fresh.Equal(r.exchange.inputs.RefreshToken):
	case len(text) > token.MaxSize:
		outcome.UnkeptRefreshToken = len(text)
		outcome.remark("the provider's reply holds " + tooLarge("refresh token", len(text)))
	default:
		outcome.Grant.RefreshToken = fresh
	}
}

// outputs reads all outputs, or none where they are too large together: half of
// them would be taken for all.
func (r *reader) outputs(from map[string]*expression.Expression) map[string]any {
	outputs, size := map[string]any{}, 0
	for _, name := range slices.Sorted(maps.Keys(from)) {
		value, ok := r.value(from[name])
		if !ok {
			continue
		}
		outputs[name] = jsonValue(value)
		encoded, err := jsontext.Size(outputs[name])
		if size += len(name) + encoded; err != nil || size > token.MaxOutputs {
			r.unusable = fmt.Sprintf("outputs of more than %d bytes together, up to the output %s", token.MaxOutputs, name)
			return nil
		}
	}
	return outputs
}

// tooLarge says that a part of a reply is larger than what is kept.
func tooLarge(what string, size int) string {
	return fmt.Sprintf("a larger %s than can be kept: %d bytes, of at most %d", what, size, token.MaxSize)
}

// maxType is the size of the longest token type, in bytes; RFC 6749 section 7.1 and
// its kin have none of a tenth of that.
const maxType = 256

// isType reports whether a text may be a token's type.
func isType(text string) bool { return text != "" && len(text) <= maxType && usable(text) }

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
	case succeeded && r.unusable != "":
		return v1alpha1.RequestRejectedReason, "the provider's reply holds " + r.unusable
	case succeeded && r.isComplete(grant):
		return v1alpha1.RefreshedReason, ""
	case succeeded && r.call.maySpend && !r.brought:
		// It looks like success and brings nothing: a proxy's page, a reply cut
		// short. The token that was sent may be spent.
		return v1alpha1.OutcomeUnknownReason, r.explain(grant) + ", with neither an access token nor a refresh token"
	case succeeded:
		return v1alpha1.RequestRejectedReason, r.explain(grant) + ", without " + r.wanted()
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
	for i, failure := range r.call.response.failures {
		if failure.when.True(r.variables) {
			r.matched = &r.call.response.failures[i]
			return failure.reason
		}
	}
	if r.call.response.standardFailures {
		return standard.Reason(r.status, r.variables[headersVariable], r.variables[bodyVariable], r.variables[expression.BudgetKey])
	}
	return ""
}
