// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestStalls(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		v1alpha1.ReauthorizationRequiredReason: true,
		v1alpha1.AppRejectedReason:             true,
		v1alpha1.OutcomeUnknownReason:          true,
		v1alpha1.RotatedTokenLostReason:        true,
		v1alpha1.DuplicateSourceReason:         true,
		v1alpha1.RestoredFromBackupReason:      true,
		v1alpha1.TargetConflictReason:          true,
		v1alpha1.InvalidParametersReason:       true,
		v1alpha1.ProviderInvalidReason:         true,
		v1alpha1.SecretNotFoundReason:          false,
		v1alpha1.SecretKeyMissingReason:        false,
		v1alpha1.ProviderNotFoundReason:        false,
		v1alpha1.EgressDeniedReason:            false,
		v1alpha1.RequestRejectedReason:         false,
		v1alpha1.RateLimitedReason:             false,
		v1alpha1.ProviderUnavailableReason:     false,
		v1alpha1.PersistBlockedReason:          false,
		v1alpha1.SuspendedReason:               false,
		v1alpha1.RefreshedReason:               false,
	} {
		if got := New(reason, "").Stalls(); got != want {
			t.Errorf("%s stalls: %t, want %t: the user guide says so", reason, got, want)
		}
	}
	if (*Problem)(nil).Stalls() {
		t.Error("no problem stalls")
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	wrapped := errors.Join(errors.New("first"), fmt.Errorf("renew: %w", New(v1alpha1.RateLimitedReason, "later")))
	for _, c := range []struct {
		name    string
		err     error
		reasons []string
		want    bool
		reason  string
	}{
		{"nothing", nil, []string{v1alpha1.RateLimitedReason}, false, "there is no problem"},
		{"another error", errors.New("some"), []string{v1alpha1.RateLimitedReason}, false, "it is no problem"},
		{"one of the reasons", wrapped, []string{v1alpha1.AppRejectedReason, v1alpha1.RateLimitedReason}, true, "wrapping hides nothing"},
		{"another reason", wrapped, []string{v1alpha1.AppRejectedReason}, false, "the reason counts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Is(c.err, c.reasons...); got != c.want {
				t.Errorf("got %t, want %t: %s", got, c.want, c.reason)
			}
		})
	}
	if got := Of(wrapped); got == nil || got.Error() != "RateLimited: later" {
		t.Errorf("the problem in it is %v", got)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := OneLine(fmt.Errorf("one\ntwo\r\n\nthree%s", "\n")); got != "one; two; three" {
		t.Errorf("got %q: conditions and events have one line", got)
	}
}

func TestAPIServer(t *testing.T) {
	t.Parallel()
	const secretText = "s3cret"
	secrets, text := corev1.Resource("secrets"), errors.New("it quotes "+secretText)
	for _, c := range []struct {
		name   string
		err    error
		next   string
		want   string
		reason string
	}{
		{"no answer", text, "allow it", `the API server could not be reached to read the Secret "shop": it is tried again`, "nobody refuses anything"},
		{"a deadline", fmt.Errorf("get: %w", context.DeadlineExceeded), "allow it", `the API server could not be reached to read the Secret "shop": it is tried again`, "nobody refuses anything"},
		{"a refusal", apierrors.NewForbidden(secrets, "shop", text), "allow it", `the API server does not let the operator read the Secret "shop" (Forbidden): allow it; it is tried again`, "a person can do something"},
		{"a refusal, wrapped", fmt.Errorf("get: %w", apierrors.NewForbidden(secrets, "shop", text)), "", `the API server does not let the operator read the Secret "shop" (Forbidden); it is tried again`, "wrapping hides nothing"},
		{"a webhook that is down", apierrors.NewInternalError(text), "see the webhooks", `the API server failed to read the Secret "shop" (InternalError): see the webhooks; it is tried again`, "a person can do something, and nobody refuses anything"},
		{"too many requests", apierrors.NewTooManyRequests(secretText, 1), "allow it", `the API server is too busy to read the Secret "shop" (TooManyRequests): it is tried again`, "there is nothing to allow"},
		{"a timeout", apierrors.NewServerTimeout(secrets, "get", 1), "allow it", `the API server is too busy to read the Secret "shop" (ServerTimeout): it is tried again`, "there is nothing to allow"},
		{"an answer without a reason", &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusBadGateway, Message: secretText}}, "", `the API server failed to read the Secret "shop" (HTTP 502); it is tried again`, "an answer came, and it is no refusal"},
		{"a webhook that gives a reason of its own", &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusForbidden, Reason: secretText}}, "", `the API server does not let the operator read the Secret "shop" (HTTP 403); it is tried again`, "it may quote what was written"},
		{"an error that says that no answer came", &apierrors.StatusError{ErrStatus: metav1.Status{Message: secretText}}, "", `the API server could not be reached to read the Secret "shop": it is tried again`, "nobody refuses anything"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := APIServer(c.err, `read the Secret "shop"`, c.next)
			if got.Reason != v1alpha1.PersistBlockedReason || got.Message != c.want {
				t.Errorf("got %q, want %q: %s", got.Error(), c.want, c.reason)
			}
			if strings.Contains(got.Error(), secretText) {
				t.Errorf("the message quotes the API server: %q", got.Message)
			}
		})
	}
	if Unreachable(nil) {
		t.Error("no error says that the API server is away")
	}
}

func TestReadingBlamesNoRoleForAnErrorOfTheAPIServer(t *testing.T) {
	t.Parallel()
	secrets := corev1.Resource("secrets")
	for _, c := range []struct {
		name, reason string
		err          error
		want         string
		transient    bool
	}{
		{"a refusal", "the operator's role is to be looked at", apierrors.NewForbidden(secrets, "shop", nil), `the API server does not let the operator read the Secret "shop" (Forbidden): allow it; it is tried again`, false},
		{"an error of its own", "nothing is refused, so there is nothing to allow", apierrors.NewInternalError(errors.New("etcdserver: request timed out")), `the API server failed to read the Secret "shop" (InternalError); it is tried again`, true},
		{"an error of its storage", "it comes without a reason", &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusInternalServerError}}, `the API server failed to read the Secret "shop" (HTTP 500); it is tried again`, true},
		{"a gateway before it that answers nothing else", "nothing is refused", &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusBadGateway}}, `the API server failed to read the Secret "shop" (HTTP 502); it is tried again`, true},
		{"a timeout of its own", "nothing is refused", apierrors.NewTimeoutError("slow", 1), `the API server is too busy to read the Secret "shop" (Timeout): it is tried again`, true},
		{"a timeout of the operator", "no answer came", context.DeadlineExceeded, `the API server could not be reached to read the Secret "shop": it is tried again`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Reading(c.err, `the Secret "shop"`); got.Message != c.want || got.Transient != c.transient {
				t.Errorf("got %q, transient: %t, want %q, %t: %s", got.Message, got.Transient, c.want, c.transient, c.reason)
			}
		})
	}
}

func TestFromNamesTheCacheWhereNothingElseIsKnown(t *testing.T) {
	t.Parallel()
	known := New(v1alpha1.RateLimitedReason, "later")
	if got := From(fmt.Errorf("renew: %w", known)); got != known {
		t.Errorf("got %v: a problem stays what it is", got)
	}
	if got := From(errors.New("s3cret")); got.Reason != v1alpha1.PersistBlockedReason || !strings.Contains(got.Message, "cache") || strings.Contains(got.Message, "s3cret") {
		t.Errorf("got %v: it is to name the cache, and to quote nothing", got)
	}
}
