// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// +kubebuilder:rbac:groups=tokenkeeper.io,resources=clustertokenproviders,verbs=get;list;watch
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=clustertokenproviders/status,verbs=patch

// ProviderReconciler tells the admin whether a ClusterTokenProvider compiles,
// and if not, where it does not.
type ProviderReconciler struct {
	client.Client
	Catalog *inputs.Catalog
}

// Reconcile compiles one provider and says how it went.
func (r *ProviderReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	described := &v1alpha1.ClusterTokenProvider{}
	if err := r.Get(ctx, request.NamespacedName, described); err != nil {
		if apierrors.IsNotFound(err) {
			r.Catalog.Forget(request.Name)
			err = nil
		}
		return ctrl.Result{}, err
	}
	stored := described.DeepCopy()
	_, err := r.Catalog.Compile(described)
	ready := metav1.Condition{
		Type:               v1alpha1.ReadyCondition,
		Status:             metav1.ConditionTrue,
		Reason:             v1alpha1.CompiledReason,
		Message:            "credentials may use this provider",
		ObservedGeneration: described.Generation,
	}
	if err != nil {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, v1alpha1.ProviderInvalidReason, problem.OneLine(err)
	}
	described.Status.ObservedGeneration = described.Generation
	meta.SetStatusCondition(&described.Status.Conditions, ready)
	if equality.Semantic.DeepEqual(stored.Status, described.Status) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(r.Status().Patch(ctx, described, client.MergeFrom(stored)))
}

// SetupWithManager wires the reconciler to changes of a provider's spec.
func (r *ProviderReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("clustertokenprovider").
		For(&v1alpha1.ClusterTokenProvider{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}
