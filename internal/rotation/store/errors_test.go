// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

var (
	secrets   = schema.GroupResource{Resource: "secrets"}
	errCanary = errors.New("canary")
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	unreachable := &url.Error{Op: "Put", URL: "https://canary", Err: syscall.ECONNREFUSED}
	late := &url.Error{Op: "Put", URL: "https://canary", Err: context.DeadlineExceeded}
	cases := map[string]struct {
		reason string
		action Action
		err    error
		want   error
		text   string
	}{
		"forbidden to write": {"a quota or a policy must change", ActionUpdate, apierrors.NewForbidden(secrets, "s", errCanary), ErrBlocked, "the API server refuses to update the state Secret (Forbidden)"},
		"forbidden to read":  {"a role must change", ActionRead, apierrors.NewForbidden(secrets, "s", errCanary), ErrBlocked, "the API server refuses to read the state Secret (Forbidden)"},
		"forbidden to list":  {"a role must change", Action("list Secrets"), apierrors.NewForbidden(secrets, "", errCanary), ErrBlocked, "the API server refuses to list Secrets (Forbidden)"},
		"invalid":            {"the Secret is immutable", ActionUpdate, apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "canary", nil), ErrBlocked, "(Invalid)"},
		"too large":          {"what is in it must shrink", ActionUpdate, apierrors.NewRequestEntityTooLargeError("canary"), ErrBlocked, "(RequestEntityTooLarge)"},
		"unauthorized":       {"the operator's own credentials must change", ActionRead, apierrors.NewUnauthorized("canary"), ErrBlocked, "(Unauthorized)"},
		"unreachable":        {"no answer came", ActionRead, unreachable, ErrUnreachable, "the API server cannot be reached to read the state Secret"},
		"the deadline":       {"no answer came in time", ActionUpdate, late, ErrUnreachable, "the API server cannot be reached to update the state Secret"},
		"a webhook is down":  {"a retry may find it up", ActionUpdate, apierrors.NewInternalError(errCanary), ErrUnavailable, "(InternalError)"},
		"overloaded":         {"a retry may succeed", ActionUpdate, apierrors.NewTooManyRequests("canary", 1), ErrUnavailable, "(TooManyRequests)"},
		"timed out":          {"an answer came, and says so", ActionUpdate, apierrors.NewTimeoutError("canary", 1), ErrUnavailable, "(Timeout)"},
		"an answer without a reason": {
			"it came, from a proxy perhaps", ActionUpdate, &apierrors.StatusError{ErrStatus: metav1.Status{Code: 502, Message: "canary"}}, ErrUnavailable, "(InternalError)",
		},
		"a conflict":                    {"the next look shows what has changed", ActionUpdate, apierrors.NewConflict(secrets, "s", errCanary), ErrConflict, ""},
		"deleted meanwhile":             {"it is made again from what is in memory", ActionUpdate, apierrors.NewNotFound(secrets, "s"), ErrConflict, ""},
		"made meanwhile":                {"another process was first", ActionCreate, apierrors.NewAlreadyExists(secrets, "s"), ErrConflict, ""},
		"created in no namespace":       {"it is gone, and the credential with it", ActionCreate, apierrors.NewNotFound(secrets, "s"), ErrGone, ""},
		"forbidden, in a wrapped error": {"a client may wrap", ActionRead, fmt.Errorf("canary: %w", apierrors.NewForbidden(secrets, "s", errCanary)), ErrBlocked, "(Forbidden)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Describe(c.action, c.err)
			for _, kind := range []error{ErrBlocked, ErrUnreachable, ErrUnavailable, ErrConflict, ErrGone} {
				if errors.Is(got, kind) != errors.Is(c.want, kind) {
					t.Errorf("%s: %q is %q: %t", c.reason, got, kind, errors.Is(got, kind))
				}
			}
			if !strings.Contains(got.Error(), c.text) || strings.Contains(got.Error(), "canary") {
				t.Errorf("the text is %q, want %q in it, and no text of the API server", got, c.text)
			}
			if unreachable := errors.Is(c.want, ErrUnreachable); c.text != "" && unreachable != problem.Unreachable(got) {
				t.Error("problem.Unreachable reports otherwise")
			}
		})
	}
	if !errors.Is(Describe(ActionRead, late), context.DeadlineExceeded) {
		t.Error("the end of the context can be matched")
	}
}
