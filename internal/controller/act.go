// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/decision"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// action is what was done about the token.
type action struct {
	decided decision.Decision
	result  refresh.Result
	problem *problem.Problem
	pause   *problem.Pause
	// missing is what the user's Secrets lack.
	missing *problem.Problem
	// standing is true where what the last attempt failed for still stands.
	standing bool
	// answered is true where a refresh that was asked for was answered before.
	answered bool
	// again is when an attempt may be made that an edit or an annotation calls for;
	// zero: none waits.
	again time.Time
}

// refreshed reports whether a token has come.
func (a action) refreshed() bool { return !a.result.Token.IsZero() }

// courierAgain is when a courier is asked once more that did not say what became of an
// attempt whose outcome counts as unknown.
const courierAgain = 30 * time.Second

// act decides, and calls the provider where that is due.
func (r *Reconciler) act(ctx context.Context, job refresh.Job, goal delivery.Goal) action {
	credential := job.Credential
	facts := factsOf(job, goal, r.surroundings(credential, goal))
	a := action{decided: decision.Decide(facts), answered: isAnswered(credential, goal)}
	a.result.Record = job.Found.Record
	if came := job.Found.Came; came != nil {
		a.decided, a.result = decision.Call, *came
		return a
	}
	if a.decided != decision.Suspended {
		a.missing = advice.Missing(job.Case(), facts.Now)
	}
	switch a.decided {
	case decision.Call:
		if a.missing != nil {
			return a
		}
		return r.call(ctx, job, goal, facts, a)
	case decision.WaitForHolder:
		a.pause = &problem.Pause{Until: facts.Now.Add(time.Second), Why: "another process holds the claim on the refresh token"}
	case decision.HoldUnknown:
		if job.Found.IsSilent() {
			a.again = facts.Now.Add(courierAgain)
		}
		return a.hold(job, advice.Unknown(credential, job.Found.Record.State.Attempt, ""), facts.Requested)
	case decision.HoldRestored:
		return a.hold(job, advice.Restored(credential, job.Found.Record.Exists()), facts.Requested)
	case decision.HoldMoved:
		a.problem = advice.Moved(credential, job.Found.Record.State.Origin, route.OriginOf(job.Inputs, job.Found.Record.State))
	case decision.HoldLost:
		return a.hold(job, advice.Lost(credential), facts.Requested)
	case decision.WaitForRetry, decision.StayStalled:
		a.standing = true
	case decision.Look, decision.Rest, decision.Suspended:
	}
	return a
}

// isAnswered reports whether a refresh that is asked for was answered, and the status does
// not say so yet.
func isAnswered(credential *v1alpha1.TokenCredential, goal delivery.Goal) bool {
	return credential.RefreshRequested() && goal.View.Mark.Requested == delivery.RequestDigest(credential)
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
func (r *Reconciler) call(ctx context.Context, job refresh.Job, goal delivery.Goal, facts decision.Facts, a action) action {
	key := client.ObjectKeyFromObject(job.Credential)
	if err := r.delivery.DryRun(ctx, job.Credential, goal, delivery.BeforeClaim); err != nil {
		a.problem = problem.From(err)
		return a
	}
	if wait := r.ahead.pause(key, facts); wait > 0 {
		a.decided, a.standing, a.again = decision.WaitForRetry, true, facts.Now.Add(wait)
		return a
	}
	job.Recheck = func(ctx context.Context) error {
		return r.delivery.DryRun(ctx, job.Credential, goal, delivery.AfterClaim)
	}
	job.Published = func(digest string) token.Validity {
		return goal.View.Mark.ValidityOf(r.Targets.Key, digest, job.Credential.UID)
	}
	if !facts.Token.IsZero() && !facts.Now.Before(facts.Due) {
		r.Metrics.Started(facts.Now.Sub(facts.Due))
	}
	var err error
	a.result, err = r.Refresher.Refresh(ctx, job)
	if a.result.Called || a.result.Answered {
		r.ahead.forget(key)
	}
	if errors.As(err, &a.pause) || err == nil {
		return a
	}
	a.problem = problem.From(err)
	return a
}

// reportTo adds what was done about the token to a report.
func (a action) reportTo(report status.Report, in *inputs.Inputs) status.Report {
	report.State = stateOf(a.result.Record, in.KeepsAccessToken(a.result.Record.State))
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
			Remark:                a.result.Remark,
			RefreshTokenExpiresAt: a.result.RefreshTokenExpiresAt,
			RefusedToken:          a.result.Refused,
		}
		return report
	}
	if !a.standing {
		report.Renewal = a.problem
	}
	return report
}

// tokenAtHand is the token that the target is to hold: the one that has just come, or
// the one in the state. published is when the last one was issued that it has held.
func (a action) tokenAtHand(in *inputs.Inputs, published time.Time) token.Token {
	if state := a.result.Record.State; !a.refreshed() && isOfState(in, state, published) {
		return state.Token
	}
	return a.result.Token
}

// ahead paces the calls that a user brings ahead of their time, by an edit, by
// tokenkeeper.io/refreshAt, or by making a credential again. One that was allowed, and
// then could not be made yet, is allowed still. The zero value is ready to use.
type ahead struct {
	edits   budget.Edits
	allowed sync.Map // types.NamespacedName
}

// pause is how long a call is to wait; 0: it may be made.
func (a *ahead) pause(credential types.NamespacedName, facts decision.Facts) time.Duration {
	switch {
	case facts.IsAhead():
		return a.wait(credential, facts.Now, a.edits.Take)
	case facts.IsFirst():
		return a.wait(credential, facts.Now, a.edits.TakeFirst)
	}
	return 0
}

func (a *ahead) wait(credential types.NamespacedName, now time.Time, take func(types.NamespacedName, time.Time) time.Duration) time.Duration {
	if _, isAllowed := a.allowed.Load(credential); isAllowed {
		return 0
	}
	wait := take(credential, now)
	if wait == 0 {
		a.allowed.Store(credential, struct{}{})
	}
	return wait
}

// deleted notes that a credential is gone. How many calls were made lately outlives it.
func (a *ahead) deleted(credential types.NamespacedName, now time.Time) {
	a.forget(credential)
	a.edits.Deleted(credential, now)
}

// forget that a call was allowed: it was made.
func (a *ahead) forget(credential types.NamespacedName) { a.allowed.Delete(credential) }
