// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/guard"
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

// judgeName refuses the name of a state Secret, whether or not one is there yet: its
// credential may be yet to come, and would find its state's place taken.
func judgeName(credential *v1alpha1.TokenCredential) *problem.Problem {
	name := credential.TargetName()
	if !guard.IsStateName(name) {
		return nil
	}
	return conflict("the target's name %q (spec.target.name, by default metadata.name) ends with %s, as those of the Secrets that hold refresh tokens do: make a new TokenCredential with another spec.target.name",
		name, v1alpha1.StateSecretSuffix)
}

// remedies are what a person can do where a target may not be written.
var remedies = map[guard.Kind]string{
	guard.OfType:    "ask for another spec.target.name with a new TokenCredential",
	guard.Immutable: "delete it, or ask for another spec.target.name with a new TokenCredential",
	guard.Deleting:  "it is made again once it is gone",
	guard.Owned:     "ask for another spec.target.name with a new TokenCredential",
}

// judge finds what forbids to write a Secret, nil where nothing does.
func judge(credential *v1alpha1.TokenCredential, template *render.Template, live *corev1.Secret) *problem.Problem {
	name := live.Name
	owner := metav1.GetControllerOf(live)
	obstacle := guard.Unwritable(live, func(owner *metav1.OwnerReference) bool { return OwnedBy(owner, credential) })
	switch {
	case obstacle != nil && obstacle.Kind == guard.Owned && owner.Name == credential.Name && IsCredential(owner):
		return conflict("the target Secret %q is owned by an earlier TokenCredential of this name, which is gone: the cluster's garbage collection deletes it, and else you can; then it is made again", name)
	case obstacle != nil:
		return conflict("the target Secret %q %s: %s", name, obstacle.Why, remedies[obstacle.Kind])
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

// OwnedBy reports whether an owner reference is to the credential: by its UID, since
// anyone may make a credential under the name of one that is gone, whose target is
// garbage and not the new one's.
func OwnedBy(owner *metav1.OwnerReference, credential *v1alpha1.TokenCredential) bool {
	return IsCredential(owner) && owner.Name == credential.Name && owner.UID == credential.UID && owner.UID != ""
}

// IsCredential reports whether an owner reference is to a credential, living or gone.
func IsCredential(owner *metav1.OwnerReference) bool {
	return owner.Kind == credentialKind.Kind && owner.APIVersion == v1alpha1.GroupVersion.String()
}

// owners are the owner references of an owned target: the credential's, and those
// of others that do not control it.
func owners(credential *v1alpha1.TokenCredential, current []metav1.OwnerReference) []metav1.OwnerReference {
	all := []metav1.OwnerReference{*metav1.NewControllerRef(credential, credentialKind)}
	for _, owner := range current {
		controls := owner.Controller != nil && *owner.Controller
		if !controls && (!IsCredential(&owner) || owner.Name != credential.Name) {
			all = append(all, owner)
		}
	}
	return all
}
