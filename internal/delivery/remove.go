// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// Remover deletes the targets of credentials that are gone. Garbage collection does so
// too, a little later, where a cluster has it.
type Remover struct {
	// Credentials are read from the cache.
	Credentials client.Reader
	// Secrets are read from the cache of metadata.
	Secrets client.Reader
	// Live reads from the API server.
	Live client.Reader
	// Targets deletes them.
	Targets *target.Publisher

	departed departed
}

// Gone notes that a credential is gone, or has left the cache.
func (r *Remover) Gone(credential *v1alpha1.TokenCredential) { r.departed.note(credential) }

// WasRemoved reports whether what a credential owned was removed lately, as far as it was in
// the cache. A target that was written just before comes later, and is to be removed too.
func (r *Remover) WasRemoved(credential types.NamespacedName) bool {
	return r.departed.wasRemoved(credential)
}

// RemoveEarlier deletes what a credential's forerunners of the same name owned, as far as
// this process saw them go: it was made again before that was seen.
func (r *Remover) RemoveEarlier(ctx context.Context, credential types.NamespacedName) error {
	if len(r.departed.of(credential)) == 0 {
		return nil
	}
	return r.Remove(ctx, credential)
}

// Remove deletes what a credential owned that is gone; of one that was made again, what its
// forerunners owned. One that has only left the cache, because another shard has it now, is
// not gone.
func (r *Remover) Remove(ctx context.Context, credential types.NamespacedName) error {
	gone := r.departed.of(credential)
	if err := r.remove(ctx, credential, gone); err != nil {
		return err
	}
	r.departed.drop(credential, gone)
	return nil
}

func (r *Remover) remove(ctx context.Context, credential types.NamespacedName, gone []types.UID) error {
	owned := secretList()
	// An index by owner would cost memory for each target at all times, and serves here alone.
	err := r.Secrets.List(ctx, owned, client.InNamespace(credential.Namespace), client.UnsafeDisableDeepCopy)
	owned.Items = slices.DeleteFunc(owned.Items, func(secret metav1.PartialObjectMetadata) bool {
		return OwnerOf(&secret) != credential.Name
	})
	if err != nil || len(owned.Items) == 0 {
		return err
	}
	living := &v1alpha1.TokenCredential{}
	if err = r.Live.Get(ctx, credential, living); err == nil {
		owned.Items, err = r.leftBy(ctx, owned.Items, gone, living.UID)
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	for i := range owned.Items {
		if err := r.Targets.Remove(ctx, &owned.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// leftBy are those Secrets that one of the credentials which are gone controls, and not the
// living one of their name. The cache keeps no UIDs of owners.
func (r *Remover) leftBy(ctx context.Context, cached []metav1.PartialObjectMetadata, gone []types.UID, living types.UID) ([]metav1.PartialObjectMetadata, error) {
	var left []metav1.PartialObjectMetadata
	for i := range cached {
		live := &metav1.PartialObjectMetadata{}
		live.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(&cached[i]), live); client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if owner := metav1.GetControllerOf(live); owner != nil && owner.UID != living && slices.Contains(gone, owner.UID) {
			left = append(left, *live)
		}
	}
	return left, nil
}

// RemoveOrphans deletes, once after the start, the targets of credentials that were
// deleted while no operator was there.
func (r *Remover) RemoveOrphans(ctx context.Context) error {
	targets := secretList()
	if err := r.Secrets.List(ctx, targets, client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}); err != nil {
		return err
	}
	for i := range targets.Items {
		credential := types.NamespacedName{Namespace: targets.Items[i].Namespace, Name: OwnerOf(&targets.Items[i])}
		if credential.Name == "" {
			continue
		}
		if err := r.Credentials.Get(ctx, credential, &v1alpha1.TokenCredential{}); !apierrors.IsNotFound(err) {
			continue
		}
		if err := r.Remove(ctx, credential); err != nil {
			log.FromContext(ctx).Error(err, "the target of a deleted credential stays", "credential", credential)
		}
	}
	return nil
}

// OwnerOf is the name of the credential that owns a target, living or gone; empty where none
// does. The cache keeps no UIDs of owners.
func OwnerOf(secret client.Object) string {
	owner := metav1.GetControllerOf(secret)
	if owner == nil || !target.IsCredential(owner) {
		return ""
	}
	return owner.Name
}

func secretList() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	return list
}
