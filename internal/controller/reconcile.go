// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller reconciles TokenCredentials and ClusterTokenProviders: it
// watches, orders the steps, and says when to come again. What a step does is the
// business of the package it belongs to: inputs, decision, refresh, delivery, status
// and report. There is no HTTP here, and no encoding of Secrets.
package controller

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/referrers"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/revocation"
	"github.com/tokenkeeper/tokenkeeper/internal/decision"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/nudge"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// The patch is of finalizers (spec.revokeOnDeletion).
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=tokencredentials,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=tokencredentials/status,verbs=patch
// +kubebuilder:rbac:groups=tokenkeeper.io,resources=tokencredentials/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Parts are what a credential's reconcile is made of.
type Parts struct {
	// Client reads credentials from the cache, and writes Secrets.
	Client client.Client
	// Live reads from the API server, not from the cache.
	Live      client.Reader
	Inputs    *inputs.Gatherer
	Refresher *refresh.Refresher
	Targets   *target.Publisher
	Reports   *report.Lane
	Hosts     *pace.Hosts
	Nudges    *nudge.Lane // nil: turned off
	Metrics   *metrics.Metrics
	Clock     clock.PassiveClock
}

// Reconciler keeps the token of each TokenCredential fresh: it has the steps, and their
// order. What it remembers itself is how often something was done, so that it is not done
// without a pause. What wakes a credential is the watcher's.
type Reconciler struct {
	Parts
	delivery  *delivery.Deliverer
	remover   *delivery.Remover
	referrers *referrers.Index
	ahead     ahead
	retries   retries
	revoker   revocation.Revoker
}

// NewReconciler makes a reconciler that has seen nothing yet.
func NewReconciler(parts Parts) *Reconciler {
	known := &referrers.Index{}
	secrets := parts.Inputs.Secrets
	return &Reconciler{
		Parts: parts,
		delivery: delivery.New(delivery.Parts{
			Targets: parts.Targets,
			Seeds:   parts.Client,
			Secrets: secrets,
			Rivals:  referrers.Rivals{Credentials: parts.Client, Catalog: parts.Inputs.Catalog, Index: known}.Of,
			Clock:   parts.Clock,
		}),
		remover:   &delivery.Remover{Credentials: parts.Client, Secrets: secrets.Metadata, Live: parts.Live, Targets: parts.Targets},
		referrers: known,
		retries:   newRetries(),
		revoker:   revocation.Revoker{Client: parts.Client, Refresher: parts.Refresher, Reports: parts.Reports, Clock: parts.Clock},
	}
}

// Reconcile looks at one credential and brings its token, its state and its
// target to where they should be. What the caches show decides whether more is
// read. What came of it is reported behind the token.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	ctx = access.WithoutBodies(ctx)
	if r.Hosts.Admitted(request.NamespacedName) { // the slot is given back if no call is made
		defer func() { r.Hosts.Yield(request.NamespacedName, r.Clock.Now()) }()
	}
	cached := &v1alpha1.TokenCredential{}
	err := r.Client.Get(ctx, request.NamespacedName, cached, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, r.forget(ctx, request.NamespacedName)
	case err != nil:
		return ctrl.Result{}, err
	case !cached.DeletionTimestamp.IsZero():
		again, err := r.revoker.Revoke(ctx, cached)
		return requeueAt(again, r.Clock.Now()), err
	}
	r.revoker.Hold(ctx, cached)
	if err := r.remover.RemoveEarlier(ctx, request.NamespacedName); err != nil {
		return ctrl.Result{}, err
	}
	credential, now := r.Reports.Current(cached), r.Clock.Now()
	decided, until := r.look(ctx, credential, now)
	isFirst := credential.Status.ObservedGeneration == 0 // it comes with thousands of others, perhaps
	switch {
	case (decided == decision.Call || isFirst) && r.hostIsFull(credential, now):
		return r.rest(cached, credential, now.Add(call.SlotPause)), nil
	case decided != decision.Call && decided != decision.Look:
		return r.rest(cached, credential, until), nil
	}
	r.Refresher.InFlight.Add(1) // the process ends after what comes is published and reported
	defer r.Refresher.InFlight.Done()
	came := r.renew(ctx, credential)
	if ctx.Err() != nil && came.report.Attempt == nil {
		return ctrl.Result{}, nil // the process is ending: the next one goes on from here
	}
	return r.conclude(ctx, cached, credential, came), nil
}

// hostIsFull reports whether a call would have to wait for a slot at its provider's
// host, as far as that is known. The credential is woken when there is one.
func (r *Reconciler) hostIsFull(credential *v1alpha1.TokenCredential, now time.Time) bool {
	host := r.Refresher.Calls.HostOf(credential)
	return host != "" && r.Hosts.Full(host, call.Waiter(credential, now), now)
}

// renew takes the steps. The order is the promise: what an earlier attempt left is
// recovered first; inputs and target are checked before a token is spent; the state
// is saved before the target, and the target before anything is reported. Each step
// takes values and returns values, and what stands in its way goes into the report.
func (r *Reconciler) renew(ctx context.Context, credential *v1alpha1.TokenCredential) outcome {
	report := status.Report{Suspended: credential.Spec.Suspend, Target: r.delivery.Glance(ctx, credential)}

	record, err := r.Refresher.Recover(ctx, credential)
	if err != nil {
		return stopped(report, err)
	}
	report.State = stateOf(record, false)

	in, err := r.Inputs.Gather(ctx, credential)
	if err != nil {
		return stopped(report, err)
	}
	report.Inputs, report.State = in.Digest, stateOf(record, in.KeepsAccessToken(record.State))

	found, err := r.Refresher.Judge(ctx, credential, in, record)
	if err != nil {
		return stopped(report, err)
	}
	report.SeedIgnored = found.Seed == rotation.SeedSpent && credential.Status.ObservedInputs != in.Digest

	goal, err := r.delivery.Preflight(ctx, credential, in)
	if err != nil {
		if problem.Is(err, v1alpha1.TargetConflictReason, v1alpha1.SecretNotFoundReason) {
			report.Target = &status.Target{} // what is there is not the credential's
		}
		return stopped(report, err)
	}
	report.Target = goal.Target(credential)

	job := refresh.Job{Credential: credential, Inputs: in, Found: found}
	acted := r.act(ctx, job, goal)
	report = acted.reportTo(report, in)

	// The target is written from the state even while a renewal fails, and once a token
	// has come to the end, even while the process is ending.
	ctx, cancel := finishing(ctx, acted.refreshed())
	defer cancel()
	atHand := acted.tokenAtHand(in, publishedAt(credential, goal))
	delivered := r.delivery.Deliver(ctx, delivery.Job{
		Credential: credential, Inputs: in, Goal: goal, Record: acted.result.Record, Token: atHand, IsNew: acted.refreshed(),
	})
	report = r.nudge(credential, delivered, delivered.ReportTo(report))
	report.Due = renewalOf(job, goal, acted, credential.RefreshRequested() && !report.Handled)
	if acted.pause != nil {
		return stopped(report, acted.pause)
	}
	return outcome{report: report, again: schedule.Wake(delivered.Again, acted.again)}
}

// outcome of a reconcile: what is reported, and when to come again beside what the
// status plans; zero: nothing more is planned.
type outcome struct {
	report status.Report
	again  time.Time
	why    string // it is paused
}

// stopped is the outcome where a step could not be taken: by a *refresh.Pause, which
// is no news, or by a *problem.Problem.
func stopped(report status.Report, err error) outcome {
	var pause *problem.Pause
	if errors.As(err, &pause) {
		report.Paused = true
		return outcome{report: report, again: pause.Until, why: pause.Why}
	}
	report.Renewal = problem.From(err)
	return outcome{report: report}
}

// stateOf is what is reported of a state.
func stateOf(record *store.Record, counts bool) *status.State {
	if !record.Exists() {
		return nil
	}
	state := &status.State{ResourceVersion: record.ResourceVersion(), Seed: record.State.Seed, Copied: record.Copied, Sequence: -1}
	if counts {
		state.Sequence, state.RefreshTokenExpiresAt = record.State.Sequence, record.State.RefreshTokenExpiresAt
	}
	return state
}

// finishTimeout bounds what is still written after an exchange while the process is
// ending.
const finishTimeout = 20 * time.Second

// finishing lets a token that has come be published even while the process is ending.
func finishing(ctx context.Context, refreshed bool) (context.Context, context.CancelFunc) {
	if !refreshed {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
}

// forget drops what is remembered of a credential that is gone, and removes its
// target.
func (r *Reconciler) forget(ctx context.Context, credential types.NamespacedName) error {
	r.Reports.Forget(credential)
	r.Refresher.Forget(credential)
	r.Hosts.Forget(credential, r.Clock.Now())
	r.delivery.Forget(credential)
	r.ahead.deleted(credential, r.Clock.Now())
	r.retries.forget(credential)
	r.revoker.Forget(credential)
	return r.remover.Remove(ctx, credential)
}
