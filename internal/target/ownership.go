// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var credentialKind = v1alpha1.GroupVersion.WithKind("TokenCredential")

// allowedTypes are the types of Secret that the operator ever writes. A
// service-account token is never among them.
var allowedTypes = []corev1.SecretType{corev1.SecretTypeOpaque, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeBasicAuth}

// Refusal is why a target is not written: a reason of the API, and a message
// that says what to do.
type Refusal struct {
	Reason  string
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func conflict(format string, args ...any) *Refusal {
	return &Refusal{Reason: v1alpha1.TargetConflictReason, Message: fmt.Sprintf(format, args...)}
}

func missing(credential *v1alpha1.TokenCredential) *Refusal {
	return &Refusal{
		Reason:  v1alpha1.SecretNotFoundReason,
		Message: fmt.Sprintf("the target Secret %q does not exist: create it, or set spec.target.creationPolicy to Owner", credential.TargetName()),
	}
}

// refused tells what the API server said without repeating it, since its texts
// may quote what was written.
func refused(action string, err error) *Refusal {
	return &Refusal{
		Reason:  v1alpha1.PersistBlockedReason,
		Message: fmt.Sprintf("the API server does not let the operator %s the target Secret (%s): it is tried again", action, apierrors.ReasonForError(err)),
	}
}

// judge finds what forbids to write a Secret, nil where nothing does.
func judge(credential *v1alpha1.TokenCredential, template *Template, live *corev1.Secret) error {
	name := live.Name
	owner := metav1.GetControllerOf(live)
	switch {
	case !slices.Contains(allowedTypes, live.Type):
		return conflict("the target Secret %q is of type %s, which is never written: ask for another spec.target.name with a new TokenCredential", name, live.Type)
	case live.Immutable != nil && *live.Immutable:
		return conflict("the target Secret %q is immutable: delete it, or ask for another spec.target.name with a new TokenCredential", name)
	case live.DeletionTimestamp != nil:
		return conflict("the target Secret %q is being deleted: it is made again once it is gone", name)
	case template.merge && owner != nil && !OwnedBy(owner, credential.Name):
		return conflict("the target Secret %q is owned by %s %q: ask for another spec.target.name with a new TokenCredential", name, owner.Kind, owner.Name)
	case template.merge:
		return nil
	case owner == nil:
		return conflict("the target Secret %q exists and is not owned by this credential: delete it, set spec.target.creationPolicy to Merge, or ask for another spec.target.name with a new TokenCredential", name)
	case !OwnedBy(owner, credential.Name):
		return conflict("the target Secret %q is owned by %s %q: ask for another spec.target.name with a new TokenCredential", name, owner.Kind, owner.Name)
	case live.Type != template.kind:
		return conflict("the target Secret %q is of type %s and a Secret's type cannot change: delete it, and it is made again as %s", name, live.Type, template.kind)
	}
	return nil
}

// OwnedBy tells whether an owner reference names the credential, or an earlier
// one of the same name: that one is gone, and its target is taken over.
func OwnedBy(owner *metav1.OwnerReference, credential string) bool {
	return owner.Kind == credentialKind.Kind && owner.Name == credential &&
		owner.APIVersion == v1alpha1.GroupVersion.String()
}
