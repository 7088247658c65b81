// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/decision"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
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
		!r.isUnchanged(ctx, credential) || lacksTarget(known) || r.repairs.IsHeldBack(key) || r.writeBacks.IsHeldBack(key)
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
	return r.isAsWritten(ctx, credential.Namespace, credential.TargetName(), knownTarget(credential)) &&
		r.isAsWritten(ctx, credential.Namespace, credential.StateSecretName(), stateVersion)
}

// isAsWritten reports whether a Secret is at a version, by the cache. What the cache
// shows may be older; what comes after that wakes the credential again.
func (r *Reconciler) isAsWritten(ctx context.Context, namespace, name, wanted string) bool {
	version, err := r.Inputs.Secrets.Version(ctx, client.ObjectKey{Namespace: namespace, Name: name})
	return err == nil && (version == wanted || wanted == "" && version == inputs.Absent || isOlder(version, wanted))
}

// facts are what the decision rests on once everything has been read.
func (r *Reconciler) facts(job refresh.Job, view target.View) decision.Facts {
	credential, in, found := job.Credential, job.Inputs, job.Found
	known, state, now := &credential.Status, found.Record.State, r.Clock.Now()
	f := decision.Facts{
		Now:       now,
		Live:      true,
		Suspended: credential.Spec.Suspend,
		SeedIsNew: found.Seed == rotation.SeedNew,
		Requested: credential.RefreshRequested() && view.Mark.Requested != requestDigest(credential),
		Restored:  in.SingleUse() && found.Record.Copied,
		Recovery:  found.Recovery,
		Moved:     found.Moved,
		Lost:      in.SingleUse() && state.Lost(),
		CanLogin:  in.CanLogin(),
	}
	switch {
	case in.KeepsAccessToken():
		f.Token, f.SourceChanged = state.Token.Validity, !state.Token.IsZero() && state.Source != in.Source
	default:
		f.Token = validityOf(token.Token{}, view, credential)
		f.SourceChanged = !view.Mark.IsZero() && view.Mark.Source != in.Source
		if !isGood(view) {
			f.TargetNeeds = r.mayRepair(credential, view)
		}
		if f.Token.IsZero() && !f.TargetNeeds { // a target that is gone waits for its repair, as if the token were there
			f.Token = statusValidity(known)
		}
	}
	f.Due = startOf(credential, f.Token, now)
	f.Last = decision.Last(known, in.Digest)
	if decision.IsOutdated(known, f.Token, decision.Found{State: state, Recovery: found.Recovery, Counts: in.KeepsAccessToken()}) {
		f.Last = decision.Attempt{}
	}
	if decision.IsFromFuture(known, now) || r.Hosts.Admitted(client.ObjectKeyFromObject(credential)) {
		f.Last.RetryAt = time.Time{}
	}
	return f
}

// mayRepair reports whether a target that has been changed may be filled again now by
// another call.
func (r *Reconciler) mayRepair(credential *v1alpha1.TokenCredential, view target.View) bool {
	if !isRepair(credential, view, token.Token{}) {
		return true
	}
	allowed, _, _ := r.repairs.Pace(client.ObjectKeyFromObject(credential))
	return allowed
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

// requestDigest names the refresh that the annotation tokenkeeper.io/refreshAt asks
// for; empty for none.
func requestDigest(credential *v1alpha1.TokenCredential) string {
	wanted := credential.Annotations[v1alpha1.RefreshAtAnnotation]
	if wanted == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(wanted))
	return hex.EncodeToString(sum[:8])
}
