// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

var credentialKind = v1alpha1.GroupVersion.WithKind("TokenCredential")

func conflict(format string, args ...any) *problem.Problem {
	return problem.New(v1alpha1.TargetConflictReason, format, args...)
}

func missing(credential *v1alpha1.TokenCredential) *problem.Problem {
	return problem.New(v1alpha1.SecretNotFoundReason,
		"the target Secret %q does not exist: create it, or set spec.target.creationPolicy to Owner", credential.TargetName())
}

// judge finds what forbids to write a Secret, nil where nothing does.
func judge(credential *v1alpha1.TokenCredential, template *render.Template, live *corev1.Secret) *problem.Problem {
	name := live.Name
	owner := metav1.GetControllerOf(live)
	switch {
	case !render.IsAllowed(live.Type):
		return conflict("the target Secret %q is of type %s, which is never written: ask for another spec.target.name with a new TokenCredential", name, live.Type)
	case live.Immutable != nil && *live.Immutable:
		return conflict("the target Secret %q is immutable: delete it, or ask for another spec.target.name with a new TokenCredential", name)
	case live.DeletionTimestamp != nil:
		return conflict("the target Secret %q is being deleted: it is made again once it is gone", name)
	case owner != nil && !OwnedBy(owner, credential.Name):
		return conflict("the target Secret %q is owned by %s %q: ask for another spec.target.name with a new TokenCredential", name, owner.Kind, owner.Name)
	case !template.Merges() && owner == nil:
		return conflict("the target Secret %q exists and is not owned by this credential: delete it, set spec.target.creationPolicy to Merge, or ask for another spec.target.name with a new TokenCredential", name)
	case !template.Merges() && live.Type != template.Type():
		return conflict("the target Secret %q is of type %s and a Secret's type cannot change: delete it, and it is made again as %s", name, live.Type, template.Type())
	}
	return judgeAnnotations(credential, template, &live.ObjectMeta)
}

// judgeAnnotations finds whether the annotations of others leave room for those of
// the template and the mark.
func judgeAnnotations(credential *v1alpha1.TokenCredential, template *render.Template, metadata *metav1.ObjectMeta) *problem.Problem {
	mark, _ := ReadMark(metadata.Annotations, credential.UID)
	annotations := undressed(template, metadata, mark).annotations.apply(metadata.Annotations)
	delete(annotations, MarkKey(credential.UID))
	size := render.AnnotationsSize(annotations) + template.MarkSize()
	if size <= apivalidation.TotalAnnotationSizeLimitB {
		return nil
	}
	return conflict("the annotations of the target Secret %q would come to %d bytes with those that the operator adds, and the API server takes %d: remove some from the Secret or from spec.target.template.metadata.annotations",
		metadata.Name, size, apivalidation.TotalAnnotationSizeLimitB)
}

// OwnedBy reports whether an owner reference names the credential, by kind and name
// and not by UID. At any time one credential of a namespace has a name, so a
// reference with its name and another UID is to one that is gone: whose target,
// left by a deletion without cascade or a restore from a backup, is taken over. A
// reference to any other credential, living or gone, is somebody else's.
func OwnedBy(owner *metav1.OwnerReference, credential string) bool {
	return owner.Kind == credentialKind.Kind && owner.Name == credential &&
		owner.APIVersion == v1alpha1.GroupVersion.String()
}

// owners are the owner references of an owned target: the credential's, and those
// of others that do not control it.
func owners(credential *v1alpha1.TokenCredential, current []metav1.OwnerReference) []metav1.OwnerReference {
	all := []metav1.OwnerReference{*metav1.NewControllerRef(credential, credentialKind)}
	for _, owner := range current {
		controls := owner.Controller != nil && *owner.Controller
		if !controls && !OwnedBy(&owner, credential.Name) {
			all = append(all, owner)
		}
	}
	return all
}
