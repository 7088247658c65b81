// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
)

// +kubebuilder:rbac:groups=tokenkeeper.io,resources=clustertokenproviders,verbs=get;list;watch
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=clustertokenproviders/status,verbs=patch

// ProviderReconciler tells the admin whether a ClusterTokenProvider compiles, where it
// does not, and what in it is most likely a mistake.
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
	compiled, err := r.Catalog.Compile(described)
	var warnings []string
	if err == nil {
		warnings = lint.Warnings(compiled, described.Spec)
	}
	described.Status.ObservedGeneration = described.Generation
	judge(&described.Status.Conditions, described.Generation, warnings, err)
	if equality.Semantic.DeepEqual(stored.Status, described.Status) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(r.Status().Patch(ctx, described, client.MergeFrom(stored)))
}

// judge sets the conditions of a provider that compiled, perhaps with warnings, or did not.
func judge(conditions *[]metav1.Condition, generation int64, warnings []string, err error) {
	ready := metav1.Condition{
		Type:               v1alpha1.ReadyCondition,
		Status:             metav1.ConditionTrue,
		Reason:             v1alpha1.CompiledReason,
		Message:            "credentials may use this provider",
		ObservedGeneration: generation,
	}
	if len(warnings) == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.WarningCondition)
	}
	switch {
	case err != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, v1alpha1.ProviderInvalidReason, problem.OneLine(err)
	case len(warnings) > 0:
		all := strings.Join(warnings, "\n")
		ready.Message = problem.OneLine(fmt.Errorf("%s, but look again at %s", ready.Message, all))
		meta.SetStatusCondition(conditions, metav1.Condition{
			Type:               v1alpha1.WarningCondition,
			Status:             metav1.ConditionTrue,
			Reason:             v1alpha1.LikelyMistakeReason,
			Message:            problem.OneLine(errors.New(all)),
			ObservedGeneration: generation,
		})
	}
	meta.SetStatusCondition(conditions, ready)
}

// SetupWithManager wires the reconciler to changes of a provider's spec.
func (r *ProviderReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("clustertokenprovider").
		For(&v1alpha1.ClusterTokenProvider{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}
