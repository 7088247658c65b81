// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// byProvider is the cache's index of credentials by the ClusterTokenProvider they use.
const byProvider = "provider"

// SetupWithManager wires the reconciler to what wakes a credential: its own spec
// and annotation, the Secrets it reads and writes, and its provider.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.TokenCredential{}, byProvider, providerOf); err != nil {
		return err
	}
	if err := mgr.Add(manager.RunnableFunc(r.removeOrphans)); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("tokencredential").
		Watches(&v1alpha1.TokenCredential{}, r.credentialEvents()).
		WatchesRawSource(r.waker()).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.usersOfSecret)).
		Watches(&v1alpha1.ClusterTokenProvider{}, handler.EnqueueRequestsFromMapFunc(r.usersOfProvider),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

func secretMetadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return metadata
}

func providerOf(object client.Object) []string {
	ref := object.(*v1alpha1.TokenCredential).Spec.ProviderRef
	if ref.Kind != v1alpha1.ClusterProvider {
		return nil
	}
	return []string{ref.Name}
}

func ownerOf(object client.Object) []string {
	owner := metav1.GetControllerOf(object)
	if owner == nil || !target.OwnedBy(owner, owner.Name) {
		return nil
	}
	return []string{owner.Name}
}

// usersOfSecret are the credentials that read or write a Secret: those that name it,
// that of its own name, whose target it may be, and the one whose state it is.
func (r *Reconciler) usersOfSecret(ctx context.Context, object client.Object) []reconcile.Request {
	var users []reconcile.Request
	for _, credential := range r.referrers.of(client.ObjectKeyFromObject(object)) {
		users = append(users, reconcile.Request{NamespacedName: credential})
	}
	users = r.withUser(ctx, users, object, object.GetName())
	name, isState := strings.CutSuffix(object.GetName(), v1alpha1.StateSecretSuffix)
	if isState {
		users = r.withUser(ctx, users, object, name)
	}
	return users
}

// withUser adds the credential of a name, if a Secret is its target or its state.
func (r *Reconciler) withUser(ctx context.Context, users []reconcile.Request, object client.Object, name string) []reconcile.Request {
	credential := &v1alpha1.TokenCredential{}
	key := types.NamespacedName{Namespace: object.GetNamespace(), Name: name}
	if err := r.Get(ctx, key, credential, client.UnsafeDisableDeepCopy); err != nil {
		return users // Only one that does not exist errs here.
	}
	if object.GetName() != credential.TargetName() && object.GetName() != credential.StateSecretName() {
		return users
	}
	return append(users, reconcile.Request{NamespacedName: key})
}

func (r *Reconciler) usersOfProvider(ctx context.Context, object client.Object) []reconcile.Request {
	var credentials v1alpha1.TokenCredentialList
	if err := r.List(ctx, &credentials, client.MatchingFields{byProvider: object.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil // Only an index that does not exist errs here.
	}
	requests := make([]reconcile.Request, 0, len(credentials.Items))
	for i := range credentials.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&credentials.Items[i])})
	}
	return requests
}

// removeTargets deletes what a credential that is gone owned. Garbage collection
// does so too, a little later, where a cluster has it. A credential that has only
// left the cache, because another shard has it now, is not gone.
func (r *Reconciler) removeTargets(ctx context.Context, credential types.NamespacedName) error {
	owned := &metav1.PartialObjectMetadataList{}
	owned.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	// An index by owner would cost memory for each target at all times, and serves here alone.
	err := r.Secrets.Metadata.List(ctx, owned, client.InNamespace(credential.Namespace), client.UnsafeDisableDeepCopy)
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
	if err := r.Secrets.Metadata.List(ctx, targets, client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}); err != nil {
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

// versions of the Secrets that a credential refers to, by the cache.
func (r *Reconciler) versions(ctx context.Context, credential *v1alpha1.TokenCredential) ([]string, error) {
	var all []string
	for _, ref := range references(credential) {
		version, err := r.Secrets.version(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: ref.name})
		if err != nil {
			return nil, err
		}
		all = append(all, version)
	}
	return all, nil
}

// written tells whether the target and the state stand as they were written, by
// the cache. What it shows may be older than what was written; what comes after
// that wakes the credential again.
func (r *Reconciler) written(ctx context.Context, credential *v1alpha1.TokenCredential) bool {
	stands := func(name, wanted string) bool {
		version, err := r.Secrets.version(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: name})
		return err == nil && (version == wanted || wanted == "" && version == absent || isOlder(version, wanted))
	}
	var targetVersion, stateVersion string
	if credential.Status.Target != nil {
		targetVersion = credential.Status.Target.ResourceVersion
	}
	if credential.Status.StateSecret != nil {
		stateVersion = credential.Status.StateSecret.ResourceVersion
	}
	return stands(credential.TargetName(), targetVersion) && stands(credential.StateSecretName(), stateVersion)
}

// isReady tells whether a credential's status says that it is.
func isReady(credential *v1alpha1.TokenCredential) bool {
	return meta.IsStatusConditionTrue(credential.Status.Conditions, v1alpha1.ReadyCondition)
}
