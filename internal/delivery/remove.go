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
}

// Remove deletes what a credential owned that is gone. One that has only left the cache,
// because another shard has it now, is not gone.
func (r *Remover) Remove(ctx context.Context, credential types.NamespacedName) error {
	owned := secretList()
	// An index by owner would cost memory for each target at all times, and serves here alone.
	err := r.Secrets.List(ctx, owned, client.InNamespace(credential.Namespace), client.UnsafeDisableDeepCopy)
	owned.Items = slices.DeleteFunc(owned.Items, func(secret metav1.PartialObjectMetadata) bool {
		return OwnerOf(&secret) != credential.Name
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

// OwnerOf is the credential that owns a target; empty where none does.
func OwnerOf(secret client.Object) string {
	owner := metav1.GetControllerOf(secret)
	if owner == nil || !target.OwnedBy(owner, owner.Name) {
		return ""
	}
	return owner.Name
}

func secretList() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	return list
}
