// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// lack is what a target lacks.
type lack string

const (
	// lacksNothing: it is as it is to be.
	lacksNothing lack = ""
	// lacksContent: the token at hand is to be rendered into it.
	lacksContent lack = "content"
	// lacksDressing: its labels or annotations are not as the template sets them.
	lacksDressing lack = "dressing"
	// lacksToken: it does not hold its token, and only another call brings one.
	lacksToken lack = "token"
)

// lackOf says what a target lacks, as it was found.
func (d *Deliverer) lackOf(job Job) lack {
	view, current := job.Goal.View, job.Token
	switch {
	case job.IsNew, !current.IsZero() && (!job.Goal.IsGood() || !view.Mark.MayBeOf(d.Targets.Key, current, job.Inputs.Source, job.Credential.UID)):
		return lacksContent
	case job.Goal.IsGood() && !view.Dressed:
		return lacksDressing
	case current.IsZero() && !view.Holds:
		return lacksToken
	}
	return lacksNothing
}

// publish writes what the target lacks. What was written before and has been changed is
// repaired at a pace, since another writer may be at work; a new token is never held back.
func (d *Deliverer) publish(ctx context.Context, job Job) Delivery {
	credential, found := job.Credential, job.Goal.View
	key := client.ObjectKeyFromObject(credential)
	done := Delivery{Target: targetOf(credential, found)}
	lacks := d.lackOf(job)
	isPaced := lacks != lacksNothing && !job.IsNew && isRepair(credential, found, job.Token)
	allowed, next, count := d.repairs.Pace(key)
	d.repairs.HoldBack(key, isPaced && !allowed)
	if isPaced && target.Contended(count) {
		done.Notice = problem.New(v1alpha1.TargetConflictReason, "%s", target.ContestMessage(credential, found, next))
	}
	if isPaced && !allowed {
		done.Again = next
		return done
	}
	var written target.View
	var err error
	switch lacks {
	case lacksContent:
		written, err = d.write(ctx, job)
	case lacksDressing:
		written, err = d.Targets.Mend(ctx, credential, job.Goal.Template, found)
	case lacksToken, lacksNothing:
		return done
	}
	if err != nil {
		done.Publication = problem.From(err) // it is written again at the pace of refusals, and told until then
		return done
	}
	drifted := hasDrifted(credential, found)
	if isPaced || drifted {
		d.repairs.Note(key)
	}
	done.Written = lacks == lacksContent && written.Holds
	done.Target, done.Repaired = targetOf(credential, written), drifted && count == 0 && written.Holds
	if !written.Holds {
		done.Publication = problem.New(v1alpha1.TargetConflictReason,
			"an admission webhook or policy changes the data of the target Secret %q as it is written, so that it does not hold the token: have it leave this Secret alone", credential.TargetName())
	}
	return done
}

// write renders the token at hand into the target.
func (d *Deliverer) write(ctx context.Context, job Job) (target.View, error) {
	content, err := job.Goal.Template.Render(job.Token, job.Inputs.Parameters)
	if err != nil {
		return target.View{}, problem.New(v1alpha1.InvalidParametersReason, "the target cannot be rendered: %s", problem.OneLine(err))
	}
	return d.Targets.Publish(ctx, job.Credential, job.Goal.Template, job.Goal.View, content, target.Mark{
		Validity:  job.Token.Validity,
		Token:     job.Token.AccessToken.Digest(),
		Source:    job.Inputs.Source,
		Requested: RequestDigest(job.Credential),
	})
}

// MayRefill reports whether another call may be made now for a target that does not hold
// its token, where nothing else does: a first token at once, a repair at the pace of
// repairs.
func (d *Deliverer) MayRefill(credential *v1alpha1.TokenCredential, goal Goal) bool {
	if !isRepair(credential, goal.View, token.Token{}) {
		return true
	}
	allowed, _, _ := d.repairs.Pace(client.ObjectKeyFromObject(credential))
	return allowed
}

// isRepair reports whether the target is written although nothing new is to be
// written: it held this token (zero: the last one), and somebody has changed or deleted
// it.
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

// hasDrifted reports whether somebody has changed or deleted the target, whatever is
// written now: a new token repairs it, too. Where the provider or a parameter renders
// something else now, nobody has.
func hasDrifted(credential *v1alpha1.TokenCredential, view target.View) bool {
	return isRepair(credential, view, token.Token{}) && (!view.Holds || !view.Dressed)
}

// RequestDigest names the refresh that the annotation tokenkeeper.io/refreshAt asks
// for; empty for none.
func RequestDigest(credential *v1alpha1.TokenCredential) string {
	wanted := credential.Annotations[v1alpha1.RefreshAtAnnotation]
	if wanted == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(wanted))
	return hex.EncodeToString(sum[:8])
}
