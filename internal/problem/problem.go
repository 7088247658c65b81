// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package problem describes why a credential is not as it should be: a reason of
// the API, and a message for people that says what happened and what to do
// next. A message never holds a part of a secret, a provider's body, or an API
// server's own text about a Secret.
package problem

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Problem is why a step could not do what it should. It is an error.
type Problem struct {
	// Reason is one of the API's.
	Reason string
	// Message says what happened and what to do next.
	Message string
	// RetryAfter is the least pause that the provider asked for; 0: none.
	RetryAfter time.Duration
	// Transient is true where the API server could not serve a request, as against
	// refusing it: it is tried again soon.
	Transient bool
}

// New makes a problem.
func New(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (p *Problem) Error() string { return p.Reason + ": " + p.Message }

// Stalls reports whether a person must act: nothing is tried again until an input
// changes.
func (p *Problem) Stalls() bool { return p != nil && Stalls(p.Reason) }

// Stalls reports whether a reason is one that a person must act on.
func Stalls(reason string) bool { return slices.Contains(stalling, reason) }

var stalling = []string{
	v1alpha1.ReauthorizationRequiredReason,
	v1alpha1.AppRejectedReason,
	v1alpha1.OutcomeUnknownReason,
	v1alpha1.RotatedTokenLostReason,
	v1alpha1.DuplicateSourceReason,
	v1alpha1.RestoredFromBackupReason,
	v1alpha1.TargetConflictReason,
	v1alpha1.InvalidParametersReason,
	v1alpha1.ProviderInvalidReason,
}

// Of returns the problem that an error is, or nil.
func Of(err error) *Problem {
	var p *Problem
	errors.As(err, &p)
	return p
}

// From is an error as a problem for people. What is none by itself comes from a cache.
func From(err error) *Problem {
	if p := Of(err); p != nil {
		return p
	}
	return New(v1alpha1.PersistBlockedReason, "the operator's cache cannot be read: it is tried again")
}

// Is reports whether an error is a problem with one of the reasons.
func Is(err error, reasons ...string) bool {
	p := Of(err)
	return p != nil && slices.Contains(reasons, p.Reason)
}

// MaxMessage is the size of the longest message, in bytes: several sentences. It is
// kept and written for each of thousands of credentials, and who writes a template or
// a provider has a part in how long a list of its faults is.
const MaxMessage = 1 << 10

// OneLine is an error's text on one line and within MaxMessage, as conditions and
// events want it. Where an end is left out, that shows.
func OneLine(err error) string {
	const more = "…"
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	if len(text) <= MaxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:MaxMessage-len(more)], "") + more
}

// APIServer turns what the API server answered to a request about an object into
// a problem. Its own text is left out, since it may quote what was written. The
// action and object complete "the API server does not let the operator ...", such
// as `write the Secret "shop"`; next says what a person can do about a refusal, or about
// a webhook that the API server could not ask.
func APIServer(err error, action, next string) *Problem {
	p := New(v1alpha1.PersistBlockedReason, "")
	p.Transient = IsTransient(err)
	what := "does not let the operator"
	if hasFailed(err) {
		what = "failed to"
	}
	switch answer := AnswerOf(err); {
	case Unreachable(err):
		p.Message = fmt.Sprintf("the API server could not be reached to %s: it is tried again", action)
	case isBusy(err):
		p.Message = fmt.Sprintf("the API server is too busy to %s (%s): it is tried again", action, answer)
	case next == "":
		p.Message = fmt.Sprintf("the API server %s %s (%s); it is tried again", what, action, answer)
	default:
		p.Message = fmt.Sprintf("the API server %s %s (%s): %s; it is tried again", what, action, answer, next)
	}
	return p
}

// Reading is what APIServer says of a request that reads an object, such as
// `the Secret "shop"`. No webhook is asked about it, so that there is nothing that a
// person could allow unless it is refused.
func Reading(err error, object string) *Problem {
	next := "allow it"
	if hasFailed(err) {
		next = ""
	}
	return APIServer(err, "read "+object, next)
}

// IsTransient reports whether the API server could not serve a request, as against
// refusing it.
func IsTransient(err error) bool {
	return Unreachable(err) || isBusy(err) || hasFailed(err)
}

// hasFailed reports whether the API server, its storage or a webhook met an error of its
// own (an answer of 500 or more), as against a refusal.
func hasFailed(err error) bool {
	var answer apierrors.APIStatus
	return apierrors.IsInternalError(err) || errors.As(err, &answer) && answer.Status().Code >= http.StatusInternalServerError
}

// Unreachable reports whether an error of a request says that no answer of the API
// server came, as against a refusal.
func Unreachable(err error) bool {
	var answer apierrors.APIStatus
	if err == nil || !errors.As(err, &answer) {
		return err != nil
	}
	status := answer.Status()
	return status.Reason == metav1.StatusReasonUnknown && status.Code < http.StatusBadRequest
}

// AnswerOf names the API server's answer: its reason, or else the HTTP status. A
// webhook may answer any text as its reason, so that only known ones are repeated.
func AnswerOf(err error) string {
	reason := apierrors.ReasonForError(err)
	if slices.Contains(knownAnswers, reason) {
		return string(reason)
	}
	var answer apierrors.APIStatus
	if errors.As(err, &answer) && answer.Status().Code != 0 {
		return fmt.Sprintf("HTTP %d", answer.Status().Code)
	}
	return "no known reason"
}

var knownAnswers = []metav1.StatusReason{
	metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest,
	metav1.StatusReasonUnauthorized, metav1.StatusReasonNotFound, metav1.StatusReasonConflict,
	metav1.StatusReasonAlreadyExists, metav1.StatusReasonTooManyRequests, metav1.StatusReasonInternalError,
	metav1.StatusReasonServerTimeout, metav1.StatusReasonTimeout, metav1.StatusReasonServiceUnavailable,
	metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonMethodNotAllowed,
}

// isBusy reports whether nothing is refused, and the same request may be well later.
func isBusy(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err)
}
