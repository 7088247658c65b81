// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package delivery brings Secrets to others: the access token to the target that pods
// mount, and, where the user asks for it, the live refresh token back to the user's own
// Secret. Before a call it finds what would refuse the target (Preflight, DryRun); after
// it, it writes (Deliver). What another writer undoes is written again at a pace, and
// that writer is named. The targets of credentials that are gone are removed (Remover).
//
// Values go in and come out. What is remembered is in memory alone: how often something
// was written lately, so that it is not written without a pause. The package calls no
// provider, decides on no renewal, and never writes a state.
package delivery

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Parts are what a Deliverer reads and writes with.
type Parts struct {
	// Targets reads and writes target Secrets.
	Targets *target.Publisher
	// Seeds writes the users' own Secrets.
	Seeds client.Writer
	// Secrets knows the metadata of Secrets from the cache.
	Secrets *inputs.Secrets
	// Rivals are the other credentials that may write to the same target.
	Rivals func(context.Context, *v1alpha1.TokenCredential) []target.Rival
	Clock  clock.PassiveClock
}

// Deliverer writes the Secrets of others. Safe for concurrent use, for one credential at
// a time.
type Deliverer struct {
	Parts
	templates  *render.Compiler
	dryRuns    dryRuns
	repairs    *target.Repairs // of targets
	writeBacks *target.Repairs // of users' Secrets
}

// New makes a deliverer that has written nothing yet.
func New(parts Parts) *Deliverer {
	return &Deliverer{
		Parts:      parts,
		templates:  render.NewCompiler(),
		dryRuns:    newDryRuns(),
		repairs:    target.NewRepairs(parts.Clock),
		writeBacks: target.NewRepairs(parts.Clock),
	}
}

// Job is what there is to deliver for one credential.
type Job struct {
	Credential *v1alpha1.TokenCredential
	Inputs     *inputs.Inputs
	Goal       Goal
	// Record is the state as it is stored now.
	Record *store.Record
	// Token at hand: the one that has just come, or the state's; zero: none.
	Token token.Token
	// IsNew is true where the token has just come.
	IsNew bool
}

// Delivery is what became of the Secrets that are written for others.
type Delivery struct {
	// Target as it is now.
	Target *status.Target
	// Publication is what keeps the token from the target.
	Publication *problem.Problem
	// WriteBack is what keeps the refresh token from the user's Secret.
	WriteBack *problem.Problem
	// Notice names another writer; it stands in the way of nothing.
	Notice *problem.Problem
	// Repaired is true where a target that somebody had changed or deleted was written
	// again, for the first time in a series.
	Repaired bool
	// Written is true where the token was written into the target now.
	Written bool
	// Again is when to come again for this; zero: no time is planned.
	Again time.Time
}

// ReportTo adds what was delivered to a report.
func (d Delivery) ReportTo(report status.Report) status.Report {
	report.Target, report.Publication, report.WriteBack = d.Target, d.Publication, d.WriteBack
	report.Notice, report.Repaired = d.Notice, d.Repaired
	return report
}

// Deliver brings the target up to date with the token at hand, and then the user's own
// Secret with the refresh token.
func (d *Deliverer) Deliver(ctx context.Context, job Job) Delivery {
	if job.Credential.Spec.Suspend {
		return Delivery{Target: job.Goal.Target(job.Credential)}
	}
	return d.writeBack(ctx, job, d.publish(ctx, job))
}

// IsHeldBack reports whether something waits to be written again: everything looks as
// it was last seen, and yet there is something to do.
func (d *Deliverer) IsHeldBack(credential types.NamespacedName) bool {
	return d.repairs.IsHeldBack(credential) || d.writeBacks.IsHeldBack(credential)
}

// Forget drops what is remembered of a credential that is gone.
func (d *Deliverer) Forget(credential types.NamespacedName) {
	d.repairs.Forget(credential)
	d.writeBacks.Forget(credential)
}
