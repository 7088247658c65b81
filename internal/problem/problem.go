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
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

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

// Is reports whether an error is a problem with one of the reasons.
func Is(err error, reasons ...string) bool {
	p := Of(err)
	return p != nil && slices.Contains(reasons, p.Reason)
}

// OneLine is an error's text on one line, as conditions and events want it.
func OneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}

// APIServer turns what the API server answered to a request about an object into
// a problem. Its own text is left out, since it may quote what was written. The
// action and object complete "the API server does not let the operator ...", such
// as `read the Secret "shop"`; next says what a person can do about a refusal.
func APIServer(err error, action, next string) *Problem {
	reason := apierrors.ReasonForError(err)
	if Unreachable(err) {
		return New(v1alpha1.PersistBlockedReason, "the API server could not be reached to %s: it is tried again", action)
	}
	if next != "" {
		next = ": " + next
	}
	return New(v1alpha1.PersistBlockedReason, "the API server does not let the operator %s (%s)%s; it is tried again", action, reason, next)
}

// Unreachable reports whether an error of a request says that no answer of the API
// server came, as against a refusal.
func Unreachable(err error) bool {
	var answered apierrors.APIStatus
	return err != nil && !errors.As(err, &answered)
}
