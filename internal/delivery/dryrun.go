// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/lru"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Moment of a dry run: a claim may create the state Secret, and take the last room of a
// quota.
type Moment string

// Moments of dry runs.
const (
	BeforeClaim Moment = "before the claim"
	AfterClaim  Moment = "after the claim"
)

// DryRun asks the API server whether it would take the target, where that is not known
// from its last write: for the first token, after a change, and after a refusal. An
// error is a *problem.Problem.
func (d *Deliverer) DryRun(ctx context.Context, credential *v1alpha1.TokenCredential, goal Goal, moment Moment) error {
	known := &credential.Status
	if goal.View.Holds && known.ObservedGeneration == credential.Generation && known.ObservedInputs != "" {
		return nil
	}
	now := d.Clock.Now()
	kind := fmt.Sprintf("%s/%t/%s/%s", credential.Namespace, goal.View.Exists, goal.Template.Shape(), moment)
	refusedBefore := known.ObservedGeneration != 0 && known.ObservedInputs == ""
	if !refusedBefore && d.dryRuns.isDone(kind, now) {
		return nil
	}
	if err := d.Targets.DryRun(ctx, credential, goal.Template, goal.View); err != nil {
		return err
	}
	d.dryRuns.note(kind, now)
	return nil
}

// dryRunTime is for how long a dry run of a template in a namespace holds for others
// of its kind: thousands that come at once are not all asked for.
const dryRunTime = 30 * time.Second

// maxDryRuns is how many are remembered.
const maxDryRuns = 1024

// dryRuns remembers which were well.
type dryRuns struct{ done *lru.Cache }

func newDryRuns() dryRuns { return dryRuns{lru.New(maxDryRuns)} }

// isDone reports whether a dry run like this one was well lately.
func (d dryRuns) isDone(kind string, now time.Time) bool {
	at, ok := d.done.Get(kind)
	return ok && now.Sub(at.(time.Time)) < dryRunTime
}

func (d dryRuns) note(kind string, now time.Time) { d.done.Add(kind, now) }
