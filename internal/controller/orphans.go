// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

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
)

// forget drops what is remembered of a credential that is gone, and removes its
// target.
func (r *Reconciler) forget(ctx context.Context, credential types.NamespacedName) error {
	r.Reports.Forget(credential)
	r.Refresher.Forget(credential)
	r.Hosts.Forget(credential, r.Clock.Now())
	r.edits.Deleted(credential, r.Clock.Now())
	r.repairs.Forget(credential)
	r.writeBacks.Forget(credential)
	r.retries.forget(credential)
	return r.removeTargets(ctx, credential)
}

// removeTargets deletes what a credential that is gone owned. Garbage collection
// does so too, a little later, where a cluster has it. A credential that has only
// left the cache, because another shard has it now, is not gone.
func (r *Reconciler) removeTargets(ctx context.Context, credential types.NamespacedName) error {
	owned := &metav1.PartialObjectMetadataList{}
	owned.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	// An index by owner would cost memory for each target at all times, and serves here alone.
	err := r.Inputs.Secrets.Metadata.List(ctx, owned, client.InNamespace(credential.Namespace), client.UnsafeDisableDeepCopy)
	owned.Items = slices.DeleteFunc(owned.Items, func(secret metav1.PartialObjectMetadata) bool {
		return !slices.Contains(ownerOf(&secret), credential.Name)
	})
	if err != nil || len(owned.Items) == 0 {
		return err
	}
	if err := r.Live.Get(ctx, credential, &v1alpha1.TokenCredential{}); !apierrors.IsNotFound(err) {
		return err
	}
	for i := range owned.Items {
		if err := r.Targets.Remove(ctx, &owned.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// removeOrphans removes, once after the start, the targets of credentials that
// were deleted while no operator was there.
func (r *Reconciler) removeOrphans(ctx context.Context) error {
	targets := &metav1.PartialObjectMetadataList{}
	targets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := r.Inputs.Secrets.Metadata.List(ctx, targets, client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}); err != nil {
		return err
	}
	for i := range targets.Items {
		for _, owner := range ownerOf(&targets.Items[i]) {
			credential := types.NamespacedName{Namespace: targets.Items[i].Namespace, Name: owner}
			if err := r.Get(ctx, credential, &v1alpha1.TokenCredential{}); !apierrors.IsNotFound(err) {
				continue
			}
			if err := r.removeTargets(ctx, credential); err != nil {
				log.FromContext(ctx).Error(err, "the target of a deleted credential stays", "credential", credential)
			}
		}
	}
	return nil
}
