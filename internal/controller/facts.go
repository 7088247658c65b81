// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/decision"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// look decides by what the caches and the status show, without a request to anyone, and says
// until when that holds should nothing change; zero: for good.
func (r *Reconciler) look(ctx context.Context, credential *v1alpha1.TokenCredential, now time.Time) (decision.Decision, time.Time) {
	known := &credential.Status
	key := client.ObjectKeyFromObject(credential)
	f := decision.Facts{
		Now:       now,
		Suspended: credential.Spec.Suspend,
		Token:     statusValidity(known),
	}
	limits := limits{r.Inputs.Catalog.EarliestRenewal(ctx, credential), grantEnd(credential, nil)}
	f.Requested = isRequested(credential, f.Token, limits, now)
	f.Due = startOf(credential, f.Token, limits, now)
	f.Last = decision.Last(known, known.ObservedInputs)
	f.Changed = decision.IsFromFuture(known, now) || isUnplanned(credential, f, limits.earliest) || hidesStall(credential, f) ||
		r.isExpected(key, f) || r.hasMoved(ctx, credential)
	decided := decision.Decide(f)
	return decided, decided.Until(f)
}

// isExpected reports whether something is to be done, or to be found, that neither the caches
// nor the status show.
func (r *Reconciler) isExpected(key types.NamespacedName, f decision.Facts) bool {
	isKeptFromCall := f.Suspended || f.Last.Failed || f.Last.Stalled // before one everything is read anyway
	return r.Hosts.Admitted(key) || r.Refresher.Pending(key, f.Last.Stalled) || isKeptFromCall && r.Refresher.MayBeLeft(key) || r.delivery.IsHeldBack(key)
}

// hidesStall reports whether nothing is tried because of the last attempt, and the conditions
// do not say so: somebody has edited the status, or etcd was put back while it was written.
func hidesStall(credential *v1alpha1.TokenCredential, f decision.Facts) bool {
	return f.Last.Stalled && !f.Suspended && !meta.IsStatusConditionTrue(credential.Status.Conditions, v1alpha1.StalledCondition)
}

// isUnplanned reports whether a refresh is requested that has to wait for the provider, and
// the status does not say until when yet.
func isUnplanned(credential *v1alpha1.TokenCredential, f decision.Facts, earliest int) bool {
	next := credential.Status.NextRefreshTime
	return credential.RefreshRequested() && !f.Requested && (next == nil || !next.Time.Equal(schedule.EarliestAt(f.Token, earliest)))
}

// lacksTarget reports whether the target was last seen not to hold the token: once what
// was in the way is gone, everything looks as it was left.
func lacksTarget(known *v1alpha1.TokenCredentialStatus) bool {
	return known.Target != nil && known.Target.ResourceVersion == ""
}

// hasMoved reports whether the spec, the provider, the inputs, the target or the state are
// others than the status knows of, by the cache.
func (r *Reconciler) hasMoved(ctx context.Context, credential *v1alpha1.TokenCredential) bool {
	known := &credential.Status
	if known.ObservedGeneration != credential.Generation || known.ObservedInputs == "" || mayBePutBack(credential, r.Refresher.Horizon) || lacksTarget(known) {
		return true
	}
	digest, err := r.Inputs.CachedDigest(ctx, credential)
	if err != nil || digest != known.ObservedInputs {
		return true
	}
	stateVersion := ""
	if known.StateSecret != nil {
		stateVersion = known.StateSecret.ResourceVersion
	}
	return !r.isAsWritten(ctx, credential, credential.TargetName(), delivery.KnownTarget(credential)) ||
		!r.isAsWritten(ctx, credential, credential.StateSecretName(), stateVersion)
}

// isAsWritten reports whether a Secret of a credential is at a version, by the cache. What the
// cache shows may be older, and what this process has just made may be missing there; what
// comes after that wakes the credential again.
func (r *Reconciler) isAsWritten(ctx context.Context, credential *v1alpha1.TokenCredential, name, wanted string) bool {
	version, err := r.Inputs.Secrets.Version(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: name})
	if err != nil || version == wanted || wanted == "" && version == inputs.Absent {
		return err == nil
	}
	if version == inputs.Absent {
		return r.Reports.IsAhead(client.ObjectKeyFromObject(credential)) && r.Inputs.Secrets.IsYetToShow(wanted)
	}
	order, err := resourceversion.CompareResourceVersion(version, wanted)
	return err == nil && order < 0
}

// surroundings are what a decision rests on beside what was read for it.
type surroundings struct {
	now time.Time
	// mayRefill is true where another call may be made for a target that lacks its token.
	mayRefill bool
	// admitted is true where there is a slot at the provider's host, for which the
	// credential was woken.
	admitted bool
}

func (r *Reconciler) surroundings(credential *v1alpha1.TokenCredential, goal delivery.Goal) surroundings {
	return surroundings{
		now:       r.Clock.Now(),
		mayRefill: r.delivery.MayRefill(credential, goal),
		admitted:  r.Hosts.Admitted(client.ObjectKeyFromObject(credential)),
	}
}

// factsOf are what the decision rests on once everything has been read.
func factsOf(job refresh.Job, goal delivery.Goal, around surroundings) decision.Facts {
	credential, in, found := job.Credential, job.Inputs, job.Found
	known, state, mark := &credential.Status, found.Record.State, goal.View.Mark
	f := decision.Facts{
		Now:       around.now,
		Live:      true,
		Suspended: credential.Spec.Suspend,
		SeedIsNew: found.Seed == rotation.SeedNew,
		Restored:  in.SingleUse(state) && found.Record.Copied,
		Recovery:  found.Recovery,
		Moved:     found.Moved,
		Lost:      in.SingleUse(state) && state.Lost(),
		CanLogin:  in.CanLogin(),

		Unfinished: refresh.FinishIsDue(job, around.now),
	}
	switch {
	case isOfState(in, state, publishedAt(credential, goal)):
		f.Token, f.SourceChanged = state.Token.Validity, state.Source != in.Source
	default:
		f.Token = goal.Validity(credential)
		f.SourceChanged = !mark.IsZero() && mark.Source != in.Source
		f.TargetNeeds = !goal.IsGood() && around.mayRefill
		if f.Token.IsZero() && !f.TargetNeeds { // a target that is gone waits for its repair, as if the token were there
			f.Token = statusValidity(known)
		}
	}
	f.Token.Repeated = isRepeated(known, f.Token)
	limits := limits{in.Provider.EarliestRenewal, grantEnd(credential, &job)}
	f.Requested = isRequested(credential, f.Token, limits, around.now) && !isAnswered(credential, goal)
	f.Due = startOf(credential, f.Token, limits, around.now)
	f.Last = decision.Last(known, in.Digest)
	if decision.IsOutdated(known, f.Token, decision.Found{
		State: state, Recovery: found.Recovery, Replaced: found.Replaced, Refused: found.Refused, NoRefreshToken: in.Seed.IsZero() && state.RefreshToken.IsZero(), Counts: in.KeepsAccessToken(state),
	}, around.now) {
		f.Last = decision.Attempt{}
	}
	f.Last.Mended = f.Last.Mended || found.Record.IsTrusted()
	if decision.IsFromFuture(known, around.now) || around.admitted {
		f.Last.RetryAt = time.Time{}
	}
	return f
}

// isOfState reports whether the target is to hold the token of the state: where it is kept
// there, and where an earlier process received it and died before it was published. Else
// the state holds none, or an older one than was published.
func isOfState(in *inputs.Inputs, state rotation.State, published time.Time) bool {
	return !state.Token.IsZero() && (in.KeepsAccessToken(state) || state.Token.IssuedAt.After(published))
}

// publishedAt is when the last token was issued that the target holds, or has held by what
// the status knows; zero: there was none.
func publishedAt(credential *v1alpha1.TokenCredential, goal delivery.Goal) time.Time {
	held, known := goal.Validity(credential).IssuedAt, credential.Status.LastRefreshTime
	if known != nil && known.After(held) {
		return known.Time
	}
	return held
}

// statusValidity is the token that the status knows of.
func statusValidity(known *v1alpha1.TokenCredentialStatus) token.Validity {
	if known.LastRefreshTime == nil || known.ExpirationTime == nil {
		return token.Validity{}
	}
	validity := token.Validity{IssuedAt: known.LastRefreshTime.Time, ExpiresAt: known.ExpirationTime.Time}
	validity.Repeated = isRepeated(known, validity)
	return validity
}

// isRepeated reports whether a token was given again: the status plans its renewal for its
// end, which it does of no other.
func isRepeated(known *v1alpha1.TokenCredentialStatus, validity token.Validity) bool {
	planned, ends := known.NextRefreshTime, known.ExpirationTime
	return planned != nil && ends != nil && known.FailedAttempts == 0 &&
		planned.Equal(ends) && ends.Unix() == validity.ExpiresAt.Unix()
}

// grantEnd is when the refresh token ends; zero: it is not known. Job is nil where only
// the status is known.
func grantEnd(credential *v1alpha1.TokenCredential, job *refresh.Job) time.Time {
	if job != nil && job.Inputs.KeepsAccessToken(job.Found.Record.State) {
		return job.Found.Record.State.RefreshTokenExpiresAt
	}
	if ends := credential.Status.RefreshTokenExpirationTime; ends != nil {
		return ends.Time
	}
	return time.Time{}
}

// startOf is when the renewal of a token begins. One that is issued in the future, by
// a clock that was wrong, may expire long before that.
func startOf(credential *v1alpha1.TokenCredential, validity token.Validity, limits limits, now time.Time) time.Time {
	if schedule.FromFuture(validity.IssuedAt, now) {
		return now
	}
	return schedule.StartAt(validity, dueOf(credential, validity, limits, credential.RefreshRequested()), string(credential.UID))
}

// limits are what a renewal's time depends on beside the token and the spec.
type limits struct {
	// earliest is the percentage of a lifetime before which the provider refuses to renew a
	// token; 0: it does not.
	earliest int
	// grantEndsAt is the refresh token's own end; zero: it has none, or it is not known.
	grantEndsAt time.Time
}

// dueOf is when a token is to be renewed; zero for none. A refresh that is requested too
// early for the provider comes as soon as that takes it.
func dueOf(credential *v1alpha1.TokenCredential, validity token.Validity, limits limits, requested bool) time.Time {
	if validity.IsZero() {
		return time.Time{}
	}
	if requested && limits.earliest > 0 {
		return schedule.EarliestAt(validity, limits.earliest)
	}
	return schedule.RefreshAt(validity, schedule.Renewal{
		Percentage:   credential.Spec.Renewal.Percentage,
		Before:       credential.Spec.Renewal.Before.OrDefault(0),
		AtLeastEvery: credential.Spec.Renewal.AtLeastEvery.OrDefault(0),
		Earliest:     limits.earliest,
		GrantEndsAt:  limits.grantEndsAt,
	}, string(credential.UID))
}

// isRequested reports whether a refresh is asked for that the provider would take.
func isRequested(credential *v1alpha1.TokenCredential, validity token.Validity, limits limits, now time.Time) bool {
	tooEarly := !validity.IsZero() && now.Before(schedule.EarliestAt(validity, limits.earliest)) && !schedule.FromFuture(validity.IssuedAt, now)
	return credential.RefreshRequested() && (limits.earliest == 0 || !tooEarly)
}

// renewalOf is when the token at hand is to be renewed, or else the one that the target
// was found to hold; requested says that a refresh is still asked for.
func renewalOf(job refresh.Job, goal delivery.Goal, acted action, requested bool) time.Time {
	credential := job.Credential
	validity := goal.Validity(credential)
	if atHand := acted.tokenAtHand(job.Inputs, publishedAt(credential, goal)); !atHand.IsZero() {
		validity = atHand.Validity
	}
	validity.Repeated = validity.Repeated || isRepeated(&credential.Status, validity)
	job.Found.Record = acted.result.Record
	limits := limits{job.Inputs.Provider.EarliestRenewal, grantEnd(credential, &job)}
	if stated := acted.result.RefreshTokenExpiresAt; !stated.IsZero() {
		limits.grantEndsAt = stated
	}
	return dueOf(credential, validity, limits, requested)
}
