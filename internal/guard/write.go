// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Writable are the types of Secret that the operator ever writes for a user. Those that
// are never sent are not among them, nor are those that others keep for themselves.
var Writable = []corev1.SecretType{corev1.SecretTypeOpaque, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeBasicAuth}

// Kind of an obstacle: what a person can do about it differs.
type Kind string

// What forbids to write a Secret.
const (
	OfType    Kind = "OfType"    // it is of a type that is never written
	Immutable Kind = "Immutable" // it cannot be changed
	Deleting  Kind = "Deleting"  // it is being deleted
	Owned     Kind = "Owned"     // another object controls it
)

// Obstacle forbids to write a Secret.
type Obstacle struct {
	Kind Kind
	// Why completes "the Secret ...", such as "is immutable".
	Why string
}

// Unwritable finds what forbids to write a Secret that exists, nil where nothing does.
// isOwn says which controller is the credential itself; nil: none is.
func Unwritable(live *corev1.Secret, isOwn func(*metav1.OwnerReference) bool) *Obstacle {
	owner := metav1.GetControllerOf(live)
	switch {
	case !slices.Contains(Writable, live.Type):
		return &Obstacle{OfType, fmt.Sprintf("is of type %s, which is never written", live.Type)}
	case live.Immutable != nil && *live.Immutable:
		return &Obstacle{Immutable, "is immutable"}
	case live.DeletionTimestamp != nil:
		return &Obstacle{Deleting, "is being deleted"}
	case owner != nil && (isOwn == nil || !isOwn(owner)):
		return &Obstacle{Owned, fmt.Sprintf("is owned by %s %q", owner.Kind, owner.Name)}
	}
	return nil
}
