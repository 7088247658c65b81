// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package refresh gets a new token without ever losing a refresh token: it
// recovers what an earlier attempt left, claims a single-use token before it is
// sent, holds it back where it must not be sent, exchanges it once, and commits
// what came of it. All that protects a token is here, and nothing else is: it
// decides neither when a token is due (decision does) nor what becomes of it
// (target and status do).
//
// A refresh takes values and returns values. What outlives it in memory are the
// attempts that this process knows of, and what it could not save yet.
package refresh

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

const (
	// fenceTimeout is how long after a claim was sent its token may still be
	// sent: far less than recovery.HolderTimeout, so that a process that was
	// frozen in between does not send what another has taken over.
	fenceTimeout = 10 * time.Second

	// claimTimeout is how long after a claim was sent its exchange must have
	// ended: less than recovery.HolderTimeout too, so that a process which was
	// frozen after the fence finds no time left to send.
	claimTimeout = fenceTimeout + call.ExchangeTimeout

	// contendedPause is how long a credential waits for another that has claimed
	// the same token.
	contendedPause = 2 * time.Second
)

// Refresher refreshes tokens. Safe for concurrent use, for one credential at a
// time.
type Refresher struct {
	Inputs *inputs.Gatherer
	// Calls the provider.
	Calls *call.Caller
	// Saver makes what has come durable.
	Saver *saving.Saver
	// Twins finds other states on the same token.
	Twins *twins.Finder
	Clock clock.PassiveClock
	// Holder names this process in the claims it makes.
	Holder string
	// Horizon is how far the cluster has come; nil: that is not watched.
	Horizon *horizon.Horizon
	// InFlight counts the exchanges and commits in flight: whoever ends the process
	// waits for it first.
	InFlight *sync.WaitGroup
}

// Job is one credential to be refreshed, and what is known of it.
type Job struct {
	Credential *v1alpha1.TokenCredential
	Inputs     *inputs.Inputs
	Found      Found
	// Recheck what was checked before, once the state Secret has been created, which may
	// have taken the last room of a quota; nil: there is nothing to check.
	Recheck func(context.Context) error
	// Published tells for how long the access token of a plain digest is good, where it is
	// the one in the target; zero: it is another. nil: nothing is published.
	Published func(digest string) token.Validity
}

// Result is what came of a refresh, beside the error.
type Result struct {
	// Record is the state as it is stored now.
	Record *store.Record
	// Called is true where the provider was asked, or its host is known not to
	// answer.
	Called bool
	// Answered is true where a refresh that was requested is answered without a call.
	Answered bool
	// Token is the new access token; zero: there is none.
	Token token.Token
	// RefreshTokenExpiresAt is as the reply says; zero: it does not.
	RefreshTokenExpiresAt time.Time
	// Refused is the digest of the refresh token that the provider did not accept any more;
	// empty: none.
	Refused string
	// SeedAdopted is true where a new seed is in use now.
	SeedAdopted bool
	// LifetimeIgnored is true where the reply stated a lifetime that cannot be used.
	LifetimeIgnored bool
	// Remark says what was wrong with the reply that brought the token; empty: nothing.
	Remark string
}

// pause asks for the next reconcile at once.
func (r *Refresher) pause(why string) *problem.Pause {
	return &problem.Pause{Until: r.Clock.Now(), Why: why}
}

// Found is a credential's state as a reconcile finds it.
type Found struct {
	Record *store.Record
	// Seed is what becomes of the user's refresh token.
	Seed rotation.SeedVerdict
	// Recovery is what becomes of an attempt that somebody left.
	Recovery recovery.Verdict
	// Moved is true where the refresh token belongs to another origin than the one that
	// would be asked now.
	Moved bool
	// Replaced is true where another refresh token is the live one now than the last attempt
	// was refused.
	Replaced bool
	// Refused is true where it is the very token that the last attempt was refused, and the
	// status alone tells that.
	Refused bool
	// Came is what the reply to an attempt of an earlier process brought, now that the
	// courier has handed it over; nil: nothing that can be published.
	Came *Result

	heard heard
}

// Recover reads the state, and saves what an earlier process left in the spool.
// A state that neither status nor cache shows is not looked for: should there be one, the
// claim, which makes it, meets it before anything is sent.
func (r *Refresher) Recover(ctx context.Context, credential *v1alpha1.TokenCredential) (*store.Record, error) {
	key := client.ObjectKeyFromObject(credential)
	if waiting := r.Saver.Waiting(key); waiting != nil {
		r.Saver.Resume(key)
		return nil, waiting
	}
	record, err := r.load(ctx, credential)
	if err != nil {
		return nil, advice.NotLoaded(err, credential)
	}
	wasPutBack := r.Saver.Attempts.IsPutBack(key, record) || r.Horizon.Precedes(record.ResourceVersion()) || isToldRestored(credential, record)
	if wasPutBack {
		record.MarkCopied()
	}
	record.Trust(credential.Annotations[v1alpha1.TrustRestoredAnnotation])
	if wasPutBack && record.Copied {
		return record, nil
	}
	if record, err = r.Saver.Unspool(ctx, credential, record); err != nil {
		return nil, advice.NotSaved(err, credential, false)
	}
	r.Saver.Attempts.Observe(key, record)
	return record, nil
}

// isToldRestored reports whether the status tells of this very state that it was put back: who
// has seen that may be gone, with all that it remembered.
func isToldRestored(credential *v1alpha1.TokenCredential, record *store.Record) bool {
	last, told := credential.Status.LastAttempt, credential.Status.StateSecret
	return last != nil && last.Reason == v1alpha1.RestoredFromBackupReason && told != nil && record.Exists() && told.ResourceVersion == record.ResourceVersion()
}

func (r *Refresher) load(ctx context.Context, credential *v1alpha1.TokenCredential) (*store.Record, error) {
	key := client.ObjectKeyFromObject(credential)
	mayBeUnseen := r.Saver.Attempts.IsUnheard(key) || r.Saver.Attempts.HasSeen(key) || !credential.DeletionTimestamp.IsZero()
	if credential.Status.StateSecret == nil && !mayBeUnseen {
		stateKey := types.NamespacedName{Namespace: credential.Namespace, Name: credential.StateSecretName()}
		if version, err := r.Inputs.Secrets.Version(ctx, stateKey); err == nil && version == inputs.Absent {
			return r.Saver.States.None(credential), nil
		}
	}
	return r.Saver.States.Load(ctx, credential)
}

// Pending reports whether the state must be read before anything can be said of a
// credential: an attempt is open, or it is not known whether a claim was made.
func (r *Refresher) Pending(credential types.NamespacedName, stalled bool) bool {
	return r.Saver.Attempts.IsUnheard(credential) || r.Saver.Attempts.IsOpen(credential) && !stalled || r.Saver.Attempts.IsSilent(credential) || r.Saver.Waiting(credential) != nil
}

// MayBeLeft reports whether an earlier process of this pod may have left a reply for a
// credential, which this one has not looked for. That to a proven token has no claim, so
// that nothing but the state, once it is read, leads to it.
func (r *Refresher) MayBeLeft(credential types.NamespacedName) bool {
	return r.Saver.Spool.HasLeft() && !r.Saver.Attempts.HasSeen(credential)
}

// Forget drops what is remembered of a credential that is gone.
func (r *Refresher) Forget(credential types.NamespacedName) {
	r.Saver.Attempts.Forget(credential)
	r.Calls.Rates.Forget(credential)
	r.Saver.Abandon(credential)
}

// Case is what is said of the job to a person.
func (j Job) Case() advice.Case {
	of := advice.Case{Credential: j.Credential, Inputs: j.Inputs}
	if j.Found.Record != nil {
		of.State = j.Found.Record.State
	}
	return of
}
