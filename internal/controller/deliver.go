// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/internal/writeback"
)

// delivery is what became of the Secrets that are written for others.
type delivery struct {
	view     target.View
	validity token.Validity // of the token in the target
	due      time.Time
	problem  *problem.Problem
	seed     *problem.Problem // of the write-back
	notice   *problem.Problem
	repaired bool
	again    time.Time // when to come again for this; zero: not
}

// reportTo adds what was delivered to a report.
func (d delivery) reportTo(report status.Report) status.Report {
	report.Target = &status.Target{ResourceVersion: d.view.ResourceVersion, Token: d.validity, Holds: d.view.Holds}
	report.Due, report.Publication, report.WriteBack = d.due, d.problem, d.seed
	report.Notice, report.Repaired = d.notice, d.repaired
	return report
}

// deliver brings the target up to date with the token at hand, and the user's own
// Secret with the refresh token.
func (r *Reconciler) deliver(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, goal goal, acted action) delivery {
	current := acted.tokenAtHand(in)
	validity := validityOf(current, goal.view, credential)
	if credential.Spec.Suspend {
		return delivery{view: goal.view, validity: validity}
	}
	d := r.publish(ctx, credential, in, goal, current, acted.refreshed())
	if !current.IsZero() {
		d.due = dueOf(credential, current.Validity)
	} else {
		d.due = dueOf(credential, validity)
	}
	if !writeback.IsDue(credential, in, acted.result.Record) {
		r.writeBacks.HoldBack(client.ObjectKeyFromObject(credential), false)
		return d
	}
	return r.writeBack(ctx, credential, in, acted, d)
}

// publish writes the target where it does not hold the token at hand, or is not as
// the template has it. What was written before and has been changed is repaired at a
// pace: another writer may be at it.
func (r *Reconciler) publish(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, goal goal, current token.Token, isNew bool) delivery {
	view := goal.view
	d := delivery{view: view, validity: validityOf(token.Token{}, view, credential)}
	outdated := isNew || !current.IsZero() && (!isGood(view) || !markIsOf(view.Mark, current.Validity, in.Source))
	undressed := isGood(view) && !view.Dressed
	lacking := current.IsZero() && !view.Holds // another call alone brings what to repair it with
	key := client.ObjectKeyFromObject(credential)
	repairs := !isNew && (outdated || undressed || lacking) && isRepair(credential, view, current)
	r.repairs.HoldBack(key, false)
	if repairs {
		var allowed bool
		if d, allowed = r.paced(credential, d); !allowed {
			return d
		}
	}
	var err error
	switch {
	case outdated:
		view, err = r.write(ctx, credential, in, goal, current)
	case undressed:
		view, err = r.Targets.Mend(ctx, credential, goal.template, view)
	default:
		return d
	}
	if err != nil {
		d.problem, d.repaired = asProblem(err), false // tried again at the pace of refusals, and told until then
		return d
	}
	if repairs {
		r.repairs.Note(key)
	}
	d.view, d.validity = view, validityOf(token.Token{}, view, credential)
	if !view.Holds {
		d.problem = problem.New(v1alpha1.TargetConflictReason,
			"an admission webhook or policy changes the data of the target Secret %q as it is written, so that it does not hold the token: have it leave this Secret alone", credential.TargetName())
	}
	return d
}

// paced reports whether a target may be repaired now. One that may not is looked at
// again when it is time. Whoever else changes it is named.
func (r *Reconciler) paced(credential *v1alpha1.TokenCredential, d delivery) (paced delivery, allowed bool) {
	key := client.ObjectKeyFromObject(credential)
	allowed, next, count := r.repairs.Pace(key)
	if target.Contended(count) {
		d.notice = contested(credential, d.view, next)
	}
	if r.repairs.HoldBack(key, !allowed); !allowed {
		d.again = next
		return d, false
	}
	d.repaired = count == 0 && (!d.view.Holds || !d.view.Dressed)
	return d, true
}

// write renders the token at hand into the target.
func (r *Reconciler) write(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, goal goal, current token.Token) (target.View, error) {
	content, err := goal.template.Render(current, in.Parameters)
	if err != nil {
		return target.View{}, problem.New(v1alpha1.InvalidParametersReason, "the target cannot be rendered: %s", problem.OneLine(err))
	}
	return r.Targets.Publish(ctx, credential, goal.template, goal.view, content, target.Mark{
		Validity:  current.Validity,
		Source:    in.Source,
		Requested: requestDigest(credential),
	})
}

// isRepair reports whether the target is written although nothing new is to be
// written: it held this token, and somebody has changed or deleted it.
func isRepair(credential *v1alpha1.TokenCredential, view target.View, current token.Token) bool {
	last := credential.Status.LastRefreshTime
	if last == nil || credential.Status.Target == nil || credential.Status.ObservedGeneration != credential.Generation {
		return false
	}
	if view.Holds && view.Rendered {
		return !view.Dressed
	}
	return current.IsZero() || last.Unix() == current.IssuedAt.Unix()
}

func contested(credential *v1alpha1.TokenCredential, view target.View, next time.Time) *problem.Problem {
	return problem.New(v1alpha1.TargetConflictReason, "%s", target.ContestMessage(credential, view, next))
}

// writeBack writes the refresh token back to the user's Secret. One that holds the token
// which has just been replaced has only to follow; one that holds something else, or
// that token again, has another writer.
func (r *Reconciler) writeBack(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, acted action, d delivery) delivery {
	key := client.ObjectKeyFromObject(credential)
	record := acted.result.Record
	overwrites := !acted.refreshed() || !in.Seed.Equal(record.State.PreviousRefreshToken)
	if overwrites {
		allowed, next, count := r.writeBacks.Pace(key)
		if target.Contended(count) && d.notice == nil {
			d.notice = writeback.Overwritten(credential)
		}
		if r.writeBacks.HoldBack(key, !allowed); !allowed {
			d.again = schedule.Wake(d.again, next)
			return d
		}
	}
	if err := writeback.Write(ctx, r.Client, credential, in, record); err != nil {
		d.seed = asProblem(err) // tried again at the pace of refusals, and told until then
		return d
	}
	if overwrites {
		r.writeBacks.Note(key)
	}
	return d
}

// isGood reports whether the target's data is as it was written, from the present
// template.
func isGood(view target.View) bool { return view.Exists && view.Holds && view.Rendered }

// markIsOf reports whether a mark is of a token.
func markIsOf(mark target.Mark, validity token.Validity, source string) bool {
	return mark.IsZero() || mark.Equal(validity) && mark.Source == source
}

// targetOf is what is reported of a target before anything is written.
func targetOf(view target.View, credential *v1alpha1.TokenCredential) *status.Target {
	return &status.Target{
		ResourceVersion: view.ResourceVersion,
		Token:           validityOf(token.Token{}, view, credential),
		Holds:           view.Exists && view.Holds,
	}
}

// cacheLag is for how long a target that has just been written may be missing from the
// cache.
const cacheLag = 10 * time.Second

// glance is what the cache alone says of the target. A version that is not known may
// hold the token or not: that is looked at live.
func (r *Reconciler) glance(ctx context.Context, credential *v1alpha1.TokenCredential) *status.Target {
	cached, err := r.Inputs.Secrets.Cached(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()})
	last := credential.Status.LastRefreshTime
	if err != nil || cached != nil || last != nil && r.Clock.Now().Sub(last.Time) < cacheLag {
		return nil
	}
	return &status.Target{}
}

// validityOf is for how long the token in the target is good: by the token at hand, by
// the target's mark, or by the status, where the target is as it was written and
// bears no mark.
func validityOf(current token.Token, view target.View, credential *v1alpha1.TokenCredential) token.Validity {
	last := &credential.Status
	switch {
	case !current.IsZero():
		return current.Validity
	case !view.Mark.IsZero():
		return view.Mark.Validity
	case view.Holds && last.LastRefreshTime != nil && last.ExpirationTime != nil:
		return token.Validity{IssuedAt: last.LastRefreshTime.Time, ExpiresAt: last.ExpirationTime.Time}
	}
	return token.Validity{}
}
