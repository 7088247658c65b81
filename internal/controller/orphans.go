// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// departed remembers which credentials are gone, by their UIDs, until what they owned is
// removed: another may have their name by then, and is not theirs. Its zero value is ready
// to use.
type departed struct {
	mu   sync.Mutex
	uids map[types.NamespacedName][]types.UID
}

func (d *departed) note(credential *v1alpha1.TokenCredential) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uids == nil {
		d.uids = map[types.NamespacedName][]types.UID{}
	}
	key := client.ObjectKeyFromObject(credential)
	d.uids[key] = append(d.uids[key], credential.UID)
}

// of a name: the UIDs of those that had it.
func (d *departed) of(name types.NamespacedName) []types.UID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.uids[name])
}

// drop forgets the UIDs given; one may have been noted since.
func (d *departed) drop(name types.NamespacedName, uids []types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := slices.DeleteFunc(d.uids[name], func(uid types.UID) bool { return slices.Contains(uids, uid) })
	if len(left) == 0 {
		delete(d.uids, name)
		return
	}
	d.uids[name] = left
}

// forget drops what is remembered of a credential that is gone, and removes its
// target.
func (r *Reconciler) forget(ctx context.Context, credential types.NamespacedName) error {
	r.Reports.Forget(credential)
	r.Refresher.Forget(credential)
	r.Hosts.Forget(credential, r.Clock.Now())
	r.repairs.Forget(credential)
	r.writeBacks.Forget(credential)
	r.retries.forget(credential)
	return r.removeTargets(ctx, credential)
}

// removeTargets deletes what a credential that is gone owned, or what those owned that had
// its name before it, as far as this process saw them go. Garbage collection does so
// too, a little later, where a cluster has it. A credential that has only left the
// cache, because another shard has it now, is not gone.
func (r *Reconciler) removeTargets(ctx context.Context, credential types.NamespacedName) error {
	gone := r.departed.of(credential)
	if err := r.removeOwned(ctx, credential, gone); err != nil {
		return err
	}
	r.departed.drop(credential, gone)
	return nil
}

func (r *Reconciler) removeOwned(ctx context.Context, credential types.NamespacedName, gone []types.UID) error {
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
func (r *Reconciler) leftBy(ctx context.Context, cached []metav1.PartialObjectMetadata, gone []types.UID, living types.UID) ([]metav1.PartialObjectMetadata, error) {
	var left []metav1.PartialObjectMetadata
	for i := range cached {
		live := secretMetadata()
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(&cached[i]), live); client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if owner := metav1.GetControllerOf(live); owner != nil && owner.UID != living && slices.Contains(gone, owner.UID) {
			left = append(left, *live)
		}
	}
	return left, nil
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
