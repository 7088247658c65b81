// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// The API server's texts may quote what was written, and an admission webhook's may
// say anything. So no text is repeated: only names that are objects of the cluster
// are taken out of the sentences that the API server itself writes.
var (
	deniedByWebhook = regexp.MustCompile(`^admission webhook "([a-zA-Z0-9.-]{1,253})" denied the request`)
	failedWebhook   = regexp.MustCompile(`^Internal error occurred: failed calling webhook "([a-zA-Z0-9.-]{1,253})":`)
	noDryRun        = regexp.MustCompile(`^admission webhook "[a-zA-Z0-9.-]{1,253}" does not support dry run`)
	deniedByPolicy  = regexp.MustCompile(`^secrets "[^"]{1,253}" is (?:forbidden|invalid): ?(?:: )?ValidatingAdmissionPolicy '([a-zA-Z0-9.-]{1,253})' `)
	overQuota       = regexp.MustCompile(`^secrets "[^"]{1,253}" is forbidden: exceeded quota: ([a-zA-Z0-9.-]{1,253}), `)
	fieldPath       = regexp.MustCompile(`^(data|metadata|type|immutable)([.\[][-._/\[\]a-zA-Z0-9]{0,300})?$`)
)

// refused says that the API server did not do something with the target, why, and
// what a person can look at; or that it could not be reached.
func refused(err error, credential *v1alpha1.TokenCredential, action string) *problem.Problem {
	action = fmt.Sprintf("%s the target Secret %q", action, credential.TargetName())
	var status apierrors.APIStatus
	if !errors.As(err, &status) { // an answer without a reason is an answer
		return problem.APIServer(err, action, "")
	}
	return problem.APIServer(err, action, advice(err, status.Status()))
}

// advice says what a person can look at.
func advice(err error, status metav1.Status) string {
	named := func(pattern *regexp.Regexp) string {
		if match := pattern.FindStringSubmatch(status.Message); match != nil {
			return match[1]
		}
		return ""
	}
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "the namespace is being deleted"
	case named(deniedByWebhook) != "":
		return fmt.Sprintf("the admission webhook %q denied it, so change what it demands or spec.target.template", named(deniedByWebhook))
	case named(failedWebhook) != "":
		return fmt.Sprintf("the admission webhook %q does not answer, so look at its pods or its failurePolicy", named(failedWebhook))
	case named(deniedByPolicy) != "":
		return fmt.Sprintf("the ValidatingAdmissionPolicy %q denied it, so change the policy or spec.target.template", named(deniedByPolicy))
	case named(overQuota) != "":
		return fmt.Sprintf("the ResourceQuota %q is used up, so raise it or delete what is not needed", named(overQuota))
	case apierrors.IsInvalid(err):
		return "it refuses " + fieldsOf(status) + ", so change spec.target.template or the Secret"
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "look at the operator's role, which needs get, create, update and patch on secrets, and at the policies of the namespace"
	case apierrors.IsRequestEntityTooLargeError(err):
		return "the Secret would be too large, so shorten spec.target.template or remove other data"
	case apierrors.IsNotFound(err), apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return "another writer changes the Secret at the same time, so look at its metadata.managedFields for whom"
	case apierrors.IsBadRequest(err):
		return "look at the admission webhooks and policies that watch Secrets"
	}
	return "look at the API server and its admission webhooks"
}

// isDenied reports whether a webhook or a policy refuses, of which either may say that
// the object is invalid: another than the API server's own rules, which may change.
func isDenied(status metav1.Status) bool {
	return deniedByWebhook.MatchString(status.Message) || deniedByPolicy.MatchString(status.Message)
}

// fieldsOf names the fields that the API server refuses.
func fieldsOf(status metav1.Status) string {
	const most = 5
	var fields []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			if fieldPath.MatchString(cause.Field) && !slices.Contains(fields, cause.Field) {
				fields = append(fields, cause.Field)
			}
		}
	}
	switch {
	case len(fields) == 0:
		return "one of its fields"
	case len(fields) > most:
		return strings.Join(fields[:most], ", ") + " and more"
	}
	return strings.Join(fields, ", ")
}
