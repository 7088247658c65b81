// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
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
	for _, run := range []manager.RunnableFunc{r.removeOrphans, r.passSlotsOn} {
		if err := mgr.Add(run); err != nil {
			return err
		}
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

// ownerOf names the credential that controls a Secret, living or gone: the cache keeps no
// UIDs of owners.
func ownerOf(object client.Object) []string {
	owner := metav1.GetControllerOf(object)
	if owner == nil || !target.IsCredential(owner) {
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
		return users // Only one that does not exist fails here.
	}
	if object.GetName() != credential.TargetName() && object.GetName() != credential.StateSecretName() {
		return users
	}
	return append(users, reconcile.Request{NamespacedName: key})
}

func (r *Reconciler) usersOfProvider(ctx context.Context, object client.Object) []reconcile.Request {
	var credentials v1alpha1.TokenCredentialList
	if err := r.List(ctx, &credentials, client.MatchingFields{byProvider: object.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil // Only an index that does not exist fails here.
	}
	requests := make([]reconcile.Request, 0, len(credentials.Items))
	for i := range credentials.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&credentials.Items[i])})
	}
	return requests
}

// isOlder reports whether one version of an object came before another: the API
// server documents that they can be compared, and hands out integers.
func isOlder(version, than string) bool {
	one, errOne := strconv.ParseUint(version, 10, 64)
	other, errOther := strconv.ParseUint(than, 10, 64)
	return errOne == nil && errOther == nil && one < other
}
