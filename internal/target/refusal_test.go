// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// answer is a refusal as the API server words it.
func answer(code int32, reason metav1.StatusReason, message string, causes ...metav1.StatusCause) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message, Details: &metav1.StatusDetails{Causes: causes},
	}}
}

func TestARefusalSaysWhatToLookAt(t *testing.T) {
	t.Parallel()
	secrets := corev1.Resource("secrets")
	cases := map[string]struct {
		reason string
		err    error
		want   string
	}{
		"a quota": {
			"it has a name", apierrors.NewForbidden(secrets, "shop", errors.New("exceeded quota: small, requested: count/secrets=1, used: hunter2")),
			`(Forbidden): the ResourceQuota "small" is used up`,
		},
		"a webhook": {
			"it has a name, and its text may quote what was written", answer(400, "hunter2", `admission webhook "a.example.com" denied the request: hunter2`),
			`(HTTP 400): the admission webhook "a.example.com" denied it`,
		},
		"a webhook without a reason": {
			"an answer without a reason is an answer", answer(400, "", `admission webhook "a.example.com" denied the request without explanation`),
			`the admission webhook "a.example.com" denied it`,
		},
		"a webhook that is down": {
			"its pods are to be looked at", apierrors.NewInternalError(errors.New(`failed calling webhook "a.example.com": dial tcp: hunter2`)),
			`(InternalError): the admission webhook "a.example.com" does not answer`,
		},
		"a policy": {
			"it has a name", apierrors.NewForbidden(secrets, "shop", errors.New("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hunter2")),
			`the ValidatingAdmissionPolicy "p" denied it`,
		},
		"a namespace that is being deleted": {
			"nothing helps", answer(403, metav1.StatusReasonForbidden, "hunter2", metav1.StatusCause{Type: corev1.NamespaceTerminatingCause}),
			"the namespace is being deleted",
		},
		"a missing right": {
			"the role is to be looked at", apierrors.NewForbidden(secrets, "shop", errors.New(`User "x" cannot update`)),
			"get, create, update and patch on secrets",
		},
		"an invalid field": {
			"the field has a name, and its value is not repeated",
			apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "shop", field.ErrorList{field.Invalid(field.NewPath("data").Key("..token"), "hunter2", "no")}),
			"(Invalid): it refuses data[..token], so change spec.target.template",
		},
		"a field that is none": {
			"a cause may hold any text", answer(422, metav1.StatusReasonInvalid, "x", metav1.StatusCause{Field: "hunter2"}),
			"it refuses one of its fields",
		},
		"too large":           {"it says so", apierrors.NewRequestEntityTooLargeError("hunter2"), "the Secret would be too large"},
		"a conflict, twice":   {"it is no fault of the spec", apierrors.NewConflict(secrets, "shop", errors.New("hunter2")), "metadata.managedFields"},
		"too many requests":   {"it is no fault of the spec", apierrors.NewTooManyRequests("hunter2", 1), "too busy to write"},
		"a wrapped refusal":   {"it is one", fmt.Errorf("x: %w", apierrors.NewTooManyRequests("hunter2", 1)), "(TooManyRequests)"},
		"no API server":       {"that is no refusal", errors.New("dial tcp: hunter2"), `could not be reached to write the target Secret "shop"`},
		"a deadline, unheard": {"that is no refusal", context.DeadlineExceeded, "could not be reached"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
			got := refused(c.err, credential, "write")
			if got.Reason != v1alpha1.PersistBlockedReason || !contains(got.Message, c.want) || !contains(got.Message, "it is tried again") || contains(got.Message, "hunter2") {
				t.Errorf("%s: got %v, want it to contain %q", c.reason, got, c.want)
			}
		})
	}
}

func TestAPolicyMayCallASecretInvalid(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]bool{
		`secrets "shop" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`: true,
		`admission webhook "a.example.com" denied the request: no`:                                       true,
		`Secret "shop" is invalid: data[..x]: Invalid value: "..x"`:                                      false,
	} {
		if got := isDenied(metav1.Status{Reason: metav1.StatusReasonInvalid, Message: message}); got != want {
			t.Errorf("isDenied is %t, want %t: what the cluster's admins demand may change without a change of the spec: %s", got, want, message)
		}
	}
}
