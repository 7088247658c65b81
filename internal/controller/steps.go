// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/decision"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

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
	var pause *refresh.Pause
	if errors.As(err, &pause) {
		report.Paused = true
		return outcome{report: report, again: pause.Until, why: pause.Why}
	}
	report.Renewal = asProblem(err)
	return outcome{report: report}
}

// asProblem is an error for people. What is no problem by itself comes from a cache.
func asProblem(err error) *problem.Problem {
	if p := problem.Of(err); p != nil {
		return p
	}
	return problem.New(v1alpha1.PersistBlockedReason, "the operator's cache cannot be read: it is tried again")
}

// keepsNoState reports whether nothing is spent by what is asked of a credential's
// provider, so that a state which no cache shows need not be looked for.
func (r *Reconciler) keepsNoState(ctx context.Context, credential *v1alpha1.TokenCredential) bool {
	found, err := r.Inputs.Catalog.Find(ctx, credential.Spec.ProviderRef)
	return err == nil && !(&inputs.Inputs{Provider: found}).SingleUse()
}

// goal is the target as it is to be: what it is rendered from, and what is there.
type goal struct {
	template *render.Template
	view     target.View
}

// preflight finds whatever would refuse the target, before anything is spent.
func (r *Reconciler) preflight(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs) (goal, error) {
	template, err := r.templates.Compile(credential.Spec.Target, in.Provider.Outputs, in.Parameters)
	if err != nil {
		return goal{}, err
	}
	cached, err := r.Inputs.Secrets.Cached(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()})
	if err != nil {
		return goal{}, err
	}
	view, err := r.Targets.Inspect(ctx, credential, template, cached, knownTarget(credential))
	if err != nil {
		return goal{}, err
	}
	if rival := target.Rivals(credential, template, r.rivals(ctx, credential)); rival != nil {
		return goal{}, rival
	}
	return goal{template, view}, nil
}

// knownTarget is the version of the target that is known to hold the token.
func knownTarget(credential *v1alpha1.TokenCredential) string {
	if known := credential.Status.Target; known != nil {
		return known.ResourceVersion
	}
	return ""
}

// rivals are the other credentials that write to the same target.
func (r *Reconciler) rivals(ctx context.Context, credential *v1alpha1.TokenCredential) []target.Rival {
	var all []target.Rival
	for _, name := range r.sharing(credential) {
		other := &v1alpha1.TokenCredential{}
		if r.Get(ctx, name, other, client.UnsafeDisableDeepCopy) != nil || other.TargetName() != credential.TargetName() {
			continue
		}
		var outputs []string
		if found, err := r.Inputs.Catalog.Find(ctx, other.Spec.ProviderRef); err == nil {
			outputs = found.Outputs
		}
		all = append(all, target.Rival{Credential: other, Keys: render.Keys(other.Spec.Target, outputs)})
	}
	return all
}

// sharing are the other credentials that may write to a credential's target.
func (r *Reconciler) sharing(credential *v1alpha1.TokenCredential) []types.NamespacedName {
	key := client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()}
	return slices.DeleteFunc(append(r.referrers.of(key), key), func(name types.NamespacedName) bool { return name.Name == credential.Name })
}

// action is what was done about the token.
type action struct {
	decided decision.Decision
	result  refresh.Result
	problem *problem.Problem
	pause   *refresh.Pause
	// missing is what the user's Secrets lack.
	missing *problem.Problem
	// standing is true where what the last attempt failed for still stands.
	standing bool
	// answered is true where a refresh that was asked for was answered before.
	answered bool
	// again is when an attempt may be made that an edit calls for; zero: none waits.
	again time.Time
}

// refreshed reports whether a token has come.
func (a action) refreshed() bool { return !a.result.Token.IsZero() }

// act decides, and calls the provider where that is due.
func (r *Reconciler) act(ctx context.Context, job refresh.Job, goal goal) action {
	credential := job.Credential
	facts := r.facts(job, goal.view)
	a := action{decided: decision.Decide(facts), answered: credential.RefreshRequested() && !facts.Requested}
	a.result.Record = job.Found.Record
	if a.decided != decision.Suspended {
		a.missing = job.Inputs.AppMissing
	}
	switch a.decided {
	case decision.Call:
		if a.missing != nil {
			return a
		}
		return r.call(ctx, job, goal, facts, a)
	case decision.WaitForHolder:
		a.pause = &refresh.Pause{Until: facts.Now.Add(time.Second), Why: "another process holds the claim on the refresh token"}
	case decision.HoldUnknown:
		return a.hold(job, refresh.Unknown(credential, job.Found.Record.State.Attempt, ""), facts.Requested)
	case decision.HoldRestored:
		return a.hold(job, refresh.Restored(credential), facts.Requested)
	case decision.HoldLost:
		return a.hold(job, refresh.Lost(credential), facts.Requested)
	case decision.WaitForRetry, decision.StayStalled:
		a.standing = true
	case decision.Look, decision.Rest, decision.Suspended:
	}
	return a
}

// hold says why the refresh token must not be sent. What is said of it already stands,
// with the provider's own words.
func (a action) hold(job refresh.Job, p *problem.Problem, requested bool) action {
	last, attempt := job.Credential.Status.LastAttempt, job.Found.Record.State.Attempt
	known := last != nil && last.Reason == p.Reason && (attempt == nil || !attempt.Started.After(last.Time.Add(time.Second)))
	a.standing = known && !requested
	if known {
		p.Message = cmp.Or(last.Message, p.Message)
	}
	if requested {
		p.Message += "; " + v1alpha1.RefreshAtAnnotation + " does not send it again"
	}
	a.problem = p
	return a
}

// call asks the provider, once the API server has been asked whether it would take the
// target: a token that cannot be published is not asked for.
func (r *Reconciler) call(ctx context.Context, job refresh.Job, goal goal, facts decision.Facts, a action) action {
	if err := r.dryRun(ctx, job.Credential, goal, beforeClaim); err != nil {
		a.problem = asProblem(err)
		return a
	}
	if facts.IsForEdit() {
		if wait := r.edits.Take(client.ObjectKeyFromObject(job.Credential), facts.Now); wait > 0 {
			a.decided, a.standing, a.again = decision.WaitForRetry, true, facts.Now.Add(wait)
			return a
		}
	}
	job.Recheck = func(ctx context.Context) error { return r.dryRun(ctx, job.Credential, goal, afterClaim) }
	if !facts.Token.IsZero() && !facts.Now.Before(facts.Due) {
		r.Metrics.Started(facts.Now.Sub(facts.Due))
	}
	if facts.TargetNeeds && isRepair(job.Credential, goal.view, token.Token{}) {
		r.repairs.Note(client.ObjectKeyFromObject(job.Credential))
	}
	var err error
	a.result, err = r.Refresher.Refresh(ctx, job)
	if errors.As(err, &a.pause) || err == nil {
		return a
	}
	a.problem = asProblem(err)
	return a
}

// reportTo adds what was done about the token to a report.
func (a action) reportTo(report status.Report, in *inputs.Inputs) status.Report {
	report.State = stateOf(a.result.Record, in.KeepsAccessToken())
	report.SeedAdopted = a.result.SeedAdopted
	report.Handled = a.result.Called || a.result.Answered || a.answered
	report.Standing, report.Missing = a.standing, a.missing
	if a.pause != nil {
		return report // what it was paused in goes on, and then has an outcome
	}
	if a.result.Called || a.refreshed() {
		report.Attempt = &status.Attempt{
			Problem:               a.problem,
			Token:                 a.result.Token.Validity,
			LifetimeIgnored:       a.result.LifetimeIgnored,
			RefreshTokenExpiresAt: a.result.RefreshTokenExpiresAt,
		}
		return report
	}
	if !a.standing {
		report.Renewal = a.problem
	}
	return report
}

// tokenAtHand is the token that the target is to hold: the one that has just come, or
// the one in the state, where it is kept there.
func (a action) tokenAtHand(in *inputs.Inputs) token.Token {
	if a.refreshed() || !in.KeepsAccessToken() {
		return a.result.Token
	}
	return a.result.Record.State.Token
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

// stateOf is what is reported of a state.
func stateOf(record *rotation.Record, counts bool) *status.State {
	if !record.Exists() {
		return nil
	}
	state := &status.State{ResourceVersion: record.ResourceVersion(), Seed: record.State.Seed, Sequence: -1}
	if counts {
		state.Sequence, state.RefreshTokenExpiresAt = record.State.Sequence, record.State.RefreshTokenExpiresAt
	}
	return state
}

// dueOf is when a token is to be renewed; zero for none.
func dueOf(credential *v1alpha1.TokenCredential, validity token.Validity) time.Time {
	if validity.IsZero() {
		return time.Time{}
	}
	return schedule.RefreshAt(validity, schedule.Renewal{
		Percentage: credential.Spec.Renewal.Percentage,
		Before:     credential.Spec.Renewal.Before.OrDefault(0),
	}, string(credential.UID))
}
