// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/body"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/pause"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/response"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

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
	variables values
	// unusable says why what the reply holds cannot be used; empty: it can.
	unusable string
	// brought tells that the reply holds a refresh token, be it the one sent.
	brought bool
	// matched is the failure rule that says what the reply means; nil: none does.
	matched *response.Failure
}

// reader of a reply whose body has been decoded.
func (e *Exchange) reader(reply Reply, body any) *reader {
	variables := e.variables() // the exchange's own: its request has been built
	variables[variable.Status] = int64(reply.Status)
	variables[variable.Headers] = func() any { return headersOf(reply.Header) } // made when an expression asks
	variables[variable.Body] = body
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

// values of the variables.
type values map[string]any

// of evaluates a field; ok is false where it is absent or null, or fails.
func (v values) of(field *expression.Expression) (value any, ok bool) {
	if field == nil {
		return nil, false
	}
	value, present, err := field.Value(v)
	return value, err == nil && present && value != nil
}

// text evaluates a field that holds a text or a number.
func (v values) text(field *expression.Expression) (text string, ok bool) {
	value, ok := v.of(field)
	if !ok {
		return "", false
	}
	switch value.(type) {
	case string, int64, uint64, float64:
		return expression.TextOf(value)
	}
	return "", false
}
