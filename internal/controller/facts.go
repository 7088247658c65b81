// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

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

// look decides by what the caches and the status show, without a request to anyone.
func (r *Reconciler) look(ctx context.Context, credential *v1alpha1.TokenCredential, now time.Time) decision.Decision {
	known := &credential.Status
	key := client.ObjectKeyFromObject(credential)
	f := decision.Facts{
		Now:       now,
		Suspended: credential.Spec.Suspend,
		Requested: credential.RefreshRequested(),
		Token:     statusValidity(known),
	}
	f.Due = startOf(credential, f.Token, now)
	f.Last = decision.Last(known, known.ObservedInputs)
	f.Changed = known.ObservedGeneration != credential.Generation || known.ObservedInputs == "" ||
		decision.IsFromFuture(known, now) || r.Hosts.Admitted(key) || r.Refresher.Pending(key, f.Last.Stalled) ||
		!r.isUnchanged(ctx, credential) || lacksTarget(known) || r.delivery.IsHeldBack(key)
	return decision.Decide(f)
}

// lacksTarget reports whether the target was last seen not to hold the token: once what
// was in the way is gone, everything looks as it was left.
func lacksTarget(known *v1alpha1.TokenCredentialStatus) bool {
	return known.Target != nil && known.Target.ResourceVersion == ""
}

// isUnchanged reports whether the provider, the inputs, the target and the state are
// those that the status knows of, by the cache.
func (r *Reconciler) isUnchanged(ctx context.Context, credential *v1alpha1.TokenCredential) bool {
	known := &credential.Status
	digest, err := r.Inputs.CachedDigest(ctx, credential)
	if err != nil || digest != known.ObservedInputs {
		return false
	}
	stateVersion := ""
	if known.StateSecret != nil {
		stateVersion = known.StateSecret.ResourceVersion
	}
	return r.isAsWritten(ctx, credential.Namespace, credential.TargetName(), delivery.KnownTarget(credential)) &&
		r.isAsWritten(ctx, credential.Namespace, credential.StateSecretName(), stateVersion)
}

// isAsWritten reports whether a Secret is at a version, by the cache. What the cache
// shows may be older; what comes after that wakes the credential again.
func (r *Reconciler) isAsWritten(ctx context.Context, namespace, name, wanted string) bool {
	version, err := r.Inputs.Secrets.Version(ctx, client.ObjectKey{Namespace: namespace, Name: name})
	if err != nil || version == wanted || wanted == "" && version == inputs.Absent {
		return err == nil
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
		Requested: credential.RefreshRequested() && mark.Requested != delivery.RequestDigest(credential),
		Restored:  in.SingleUse(state) && found.Record.Copied,
		Recovery:  found.Recovery,
		Moved:     found.Moved,
		Lost:      in.SingleUse(state) && state.Lost(),
		CanLogin:  in.CanLogin(),
	}
	switch {
	case in.KeepsAccessToken(state) && !state.Token.IsZero():
		f.Token, f.SourceChanged = state.Token.Validity, state.Source != in.Source
	default:
		f.Token = goal.Validity(credential)
		f.SourceChanged = !mark.IsZero() && mark.Source != in.Source
		f.TargetNeeds = !goal.IsGood() && around.mayRefill
		if f.Token.IsZero() && !f.TargetNeeds { // a target that is gone waits for its repair, as if the token were there
			f.Token = statusValidity(known)
		}
	}
	f.Due = startOf(credential, f.Token, around.now)
	f.Last = decision.Last(known, in.Digest)
	if decision.IsOutdated(known, f.Token, decision.Found{State: state, Recovery: found.Recovery, Counts: in.KeepsAccessToken(state)}) {
		f.Last = decision.Attempt{}
	}
	if decision.IsFromFuture(known, around.now) || around.admitted {
		f.Last.RetryAt = time.Time{}
	}
	return f
}

// statusValidity is the token that the status knows of.
func statusValidity(known *v1alpha1.TokenCredentialStatus) token.Validity {
	if known.LastRefreshTime == nil || known.ExpirationTime == nil {
		return token.Validity{}
	}
	return token.Validity{IssuedAt: known.LastRefreshTime.Time, ExpiresAt: known.ExpirationTime.Time}
}

// startOf is when the renewal of a token begins. One that is issued in the future, by
// a clock that was wrong, may expire long before that.
func startOf(credential *v1alpha1.TokenCredential, validity token.Validity, now time.Time) time.Time {
	if schedule.FromFuture(validity.IssuedAt, now) {
		return now
	}
	return schedule.StartAt(validity.IssuedAt, dueOf(credential, validity), string(credential.UID))
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

// renewalOf is when the token at hand is to be renewed, or else the one that the target
// was found to hold.
func renewalOf(credential *v1alpha1.TokenCredential, goal delivery.Goal, atHand token.Token) time.Time {
	if !atHand.IsZero() {
		return dueOf(credential, atHand.Validity)
	}
	return dueOf(credential, goal.Validity(credential))
}
