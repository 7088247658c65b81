// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	// ErrForeign: a Secret stands where the state belongs, and is none.
	ErrForeign = errors.New("the Secret is not a state Secret of this credential")
	// ErrUnreadable: the state Secret was damaged by hand.
	ErrUnreadable = errors.New("the state Secret cannot be read")
	// ErrConflict: someone else changed the state since it was read.
	ErrConflict = errors.New("the state Secret has changed since it was read")
	// ErrSuperseded: the state has moved on to another refresh token, so what
	// the reply brought has no place in it.
	ErrSuperseded = errors.New("the state Secret has moved on to another refresh token")
	// ErrForeignAttempt: a transition would have removed an attempt that it did not
	// end. It is a mistake of the caller's.
	ErrForeignAttempt = errors.New("another process has claimed the refresh token of the state Secret")
	// ErrGone: the namespace is gone, and the credential with it.
	ErrGone = errors.New("the namespace is gone")
)

// How the API server fails a request. An APIError wraps one of these.
var (
	// ErrBlocked: it refuses, and will again until someone changes something.
	ErrBlocked = errors.New("the API server refuses")
	// ErrUnreachable: no answer came.
	ErrUnreachable = errors.New("the API server cannot be reached")
	// ErrUnavailable: it answered that it cannot serve the request now.
	ErrUnavailable = errors.New("the API server cannot serve the request now")
)

// Action is what was asked of the API server; it completes "the API server refuses
// to ...".
type Action string

// What the Store asks.
const (
	ActionRead   Action = "read the state Secret"
	ActionCreate Action = "create the state Secret"
	ActionUpdate Action = "update the state Secret"
	ActionDelete Action = "delete the state Secret"
)

// APIError is how a request about state Secrets failed. It holds the API server's
// reason as a word and never its text, which may quote what was written.
type APIError struct {
	Action Action
	// Reason is the API server's; metav1.StatusReasonUnknown: no answer came.
	Reason metav1.StatusReason

	code    int32
	kind    error
	context error // of the request, where that ended first
}

// Error implements error.
func (e *APIError) Error() string {
	if e.Reason == metav1.StatusReasonUnknown {
		return fmt.Sprintf("%s to %s", e.kind, e.Action)
	}
	return fmt.Sprintf("%s to %s (%s)", e.kind, e.Action, e.Reason)
}

// Unwrap makes errors.Is match the kind, and the end of the request's context.
func (e *APIError) Unwrap() []error {
	if e.context != nil {
		return []error{e.kind, e.context}
	}
	return []error{e.kind}
}

// Status implements apierrors.APIStatus, so that apierrors.ReasonForError and what
// is built on it know the reason.
func (e *APIError) Status() metav1.Status {
	return metav1.Status{Status: metav1.StatusFailure, Reason: e.Reason, Code: e.code, Message: e.Error()}
}

// Describe says how the API server failed a request.
func Describe(action Action, err error) error {
	failed := &APIError{Action: action, Reason: apierrors.ReasonForError(err), kind: ErrUnavailable}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		failed.code = status.Status().Code
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			failed.context = ended
		}
	}
	switch {
	case action == ActionCreate && apierrors.IsNotFound(err):
		return ErrGone
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return ErrConflict
	case failed.Reason == metav1.StatusReasonUnknown && failed.code >= http.StatusBadRequest:
		failed.Reason = metav1.StatusReasonInternalError // an answer came, without a word
	case failed.Reason == metav1.StatusReasonUnknown:
		failed.kind = ErrUnreachable
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err),
		apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsUnauthorized(err):
		failed.kind = ErrBlocked
	}
	return failed
}
