// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller reconciles TokenCredentials and ClusterTokenProviders. It
// orders the steps and judges their outcome: what a step does is the business of
// the package it belongs to. There is no HTTP here, and no encoding of Secrets.
package controller

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// +kubebuilder:rbac:groups=tokenkeeper.io,resources=tokencredentials,verbs=get;list;watch
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=tokencredentials/status,verbs=patch
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=tokencredentials/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,resourceNames=kube-system,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Reconciler keeps the token of each TokenCredential fresh.
type Reconciler struct {
	client.Client
	// Live reads from the API server, not from the cache.
	Live    client.Reader
	Catalog *Catalog
	Secrets *Secrets
	States  *rotation.Store
	Targets *target.Publisher
	Egress  egress.Caller
	Rates   *pace.Rates
	Hosts   *pace.Hosts
	Metrics *Metrics
	Events  events.EventRecorder
	Clock   clock.PassiveClock
	// Holder names this process in the claims it makes.
	Holder string
	// Spool outlives this process; nil: there is none.
	Spool *rotation.Spool
	// InFlight counts the exchanges and commits under way.
	InFlight *sync.WaitGroup

	templates target.Compiler
	attempts  attempts
	statuses  statuses
	hosts     hosts
	referrers referrers
	wake      atomic.Pointer[queue]
}

// Reconcile looks at one credential and brings its token, its state and its
// target to where they should be. The order of the steps is the promise: inputs
// and target are checked before a token is spent, the state is saved before the
// target, and the target before the status.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	ctx = withoutBodies(ctx)
	defer func() { r.Hosts.Yield(request.NamespacedName, r.Clock.Now()) }()
	credential := &v1alpha1.TokenCredential{}
	if err := r.Get(ctx, request.NamespacedName, credential); err != nil {
		if apierrors.IsNotFound(err) {
			r.statuses.forget(request.NamespacedName)
			r.attempts.gone(request.NamespacedName)
			r.Rates.Forget(request.NamespacedName)
			return ctrl.Result{}, r.removeTargets(ctx, request.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	if !credential.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	credential = credential.DeepCopy()
	stored := credential.DeepCopy()
	owed := r.statuses.overlay(credential)
	if !owed { // what this process wrote is there, whatever the cache shows
		credential.Status.DeepCopyInto(&stored.Status)
	}

	now := r.Clock.Now()
	if wake, settled := r.settled(ctx, credential, now); settled && !owed {
		return requeueAt(credential, wake, now), nil
	}
	visit := &visit{Reconciler: r, credential: credential, stored: stored, now: now}
	result, err := visit.conclude(ctx, visit.run(ctx))
	if ctx.Err() != nil {
		err = nil // The process is ending: the next one goes on from here.
	}
	return result, err
}

// run takes the steps of a visit.
func (v *visit) run(ctx context.Context) error {
	if v.credential.Spec.Suspend {
		return problemf(v1alpha1.SuspendedReason, "spec.suspend is true: set it to false to go on")
	}
	for _, step := range []func(context.Context) error{v.resolve, v.recover, v.preflight} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	renewal := v.renew(ctx) // claim, fence, exchange, commit
	// A target is mended from the state even while a renewal fails.
	ctx, cancel := v.finishing(ctx)
	defer cancel()
	return errors.Join(v.publish(ctx), renewal, v.writeBack(ctx))
}

// finishTimeout bounds what a visit still writes after an exchange while the
// process is ending.
const finishTimeout = 20 * time.Second

// finishing lets a visit that has brought a token publish it and tell of it, even
// while the process is ending.
func (v *visit) finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	if !v.refreshed {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
}

// conclude says what came of a visit, and when the next one is.
func (v *visit) conclude(ctx context.Context, err error) (ctrl.Result, error) {
	v.now = v.Clock.Now() // what is told is of the end of the visit
	var told *problem
	var paused *pause
	switch {
	case errors.As(err, &told):
	case errors.As(err, &paused):
		log.FromContext(ctx).V(1).Info("paused", "why", paused.why)
		if errors.As(standingProblem(v.credential), &told) && slices.Contains(inputReasons, told.reason) {
			told = nil // this visit got past it
		}
	case err != nil:
		return requeueAt(v.credential, time.Time{}, v.now), err
	}
	ctx, cancel := v.finishing(ctx)
	defer cancel()
	before := v.credential.Status.DeepCopy()
	patch := client.MergeFrom(v.stored)
	if paused != nil { // What was looked at has not been acted on yet.
		v.recordHandled(&v.credential.Status)
		v.setConditions(&v.credential.Status, told)
		// Another process may be at it and know better: this view gives way to its.
		patch = client.MergeFromWithOptions(v.stored, client.MergeFromWithOptimisticLock{})
	} else {
		v.summarize(told)
		if told != nil && !v.refreshed && (told.standing || told.stalled()) {
			// Nothing was brought, and nobody would look again at a stall that is wrong.
			patch = client.MergeFromWithOptions(v.stored, client.MergeFromWithOptimisticLock{})
		}
	}
	for _, n := range v.dueNotices(before, told) {
		v.tell(n)
	}
	err = v.save(ctx, patch)
	if err != nil && (paused == nil || !apierrors.IsConflict(err)) {
		return requeueAt(v.credential, time.Time{}, v.now), err
	}
	if paused != nil {
		return requeueAt(v.credential, schedule.Wake(paused.until, readyUntil(v.credential)), v.Clock.Now()), nil
	}
	return requeueAt(v.credential, wakeTime(v.credential), v.Clock.Now()), nil
}

// save writes the status, where it changed.
func (v *visit) save(ctx context.Context, patch client.Patch) error {
	if equality.Semantic.DeepEqual(v.stored.Status, v.credential.Status) {
		return nil
	}
	wanted := v.credential.DeepCopy()
	err := v.Status().Patch(ctx, v.credential, patch)
	if apierrors.IsConflict(err) {
		return err // somebody else has written it: nothing is owed
	}
	v.statuses.remember(wanted, v.credential.ResourceVersion, err)
	return client.IgnoreNotFound(err)
}

// settled tells whether nothing has changed since the last visit and nothing is
// due, or what is due must wait for room at the provider's host; all by the cache
// and the memory alone: no object is read, written or called for it. It returns
// when to look again.
func (r *Reconciler) settled(ctx context.Context, credential *v1alpha1.TokenCredential, now time.Time) (time.Time, bool) {
	name := client.ObjectKeyFromObject(credential)
	status := &credential.Status
	if status.ObservedGeneration == 0 { // it comes with thousands of others, perhaps
		return now.Add(roomPause), r.hostIsFull(credential, now)
	}
	if status.ObservedGeneration != credential.Generation || status.ObservedInputs == "" || credential.RefreshRequested() {
		return time.Time{}, false
	}
	// A Secret that stood in the way is not among those that were written: once
	// it is gone everything looks as it was left.
	if isReason(standingProblem(credential), v1alpha1.TargetConflictReason) {
		return time.Time{}, false
	}
	// An attempt that is open is told, or its end is awaited.
	if r.attempts.isOpen(name) && !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.StalledCondition) {
		return time.Time{}, false
	}
	if notedInFuture(status, now) || r.Hosts.Admitted(name) || r.attempts.isUnheard(name) {
		return time.Time{}, false
	}
	wake := wakeTime(credential)
	due := !wake.IsZero() && !now.Before(wake)
	if credential.Spec.Suspend {
		return wake, !due
	}
	if !r.unchanged(ctx, credential) {
		return time.Time{}, false
	}
	if due {
		return now.Add(roomPause), r.hostIsFull(credential, now)
	}
	return wake, true
}

// hostIsFull tells whether a credential whose token is due must wait for room at
// its provider's host. It is woken when there is some.
func (r *Reconciler) hostIsFull(credential *v1alpha1.TokenCredential, now time.Time) bool {
	return r.Hosts.Full(r.hosts.of(credential), asker(credential, now), now)
}

// unchanged tells whether the provider, the inputs, the target and the state are
// those that the status knows of, by the cache.
func (r *Reconciler) unchanged(ctx context.Context, credential *v1alpha1.TokenCredential) bool {
	provider, err := r.Catalog.find(ctx, credential.Spec.ProviderRef)
	if err != nil {
		return false
	}
	versions, err := r.versions(ctx, credential)
	return err == nil && inputsDigest(provider.version, versions) == credential.Status.ObservedInputs && r.written(ctx, credential)
}

// wakeTime is when a credential is next to be looked at: when its renewal starts or
// a failed one is tried again, and when its token expires, so that Ready tells the
// truth.
func wakeTime(credential *v1alpha1.TokenCredential) time.Time {
	status := &credential.Status
	var due time.Time
	if status.NextRefreshTime != nil {
		due = status.NextRefreshTime.Time
		if status.FailedAttempts == 0 && status.LastRefreshTime != nil {
			due = schedule.StartAt(status.LastRefreshTime.Time, due, string(credential.UID))
		}
	}
	return schedule.Wake(due, readyUntil(credential))
}

// readyUntil is when a credential that is ready ceases to be; zero where it is not.
func readyUntil(credential *v1alpha1.TokenCredential) time.Time {
	if !isReady(credential) || credential.Status.ExpirationTime == nil {
		return time.Time{}
	}
	return credential.Status.ExpirationTime.Time
}
