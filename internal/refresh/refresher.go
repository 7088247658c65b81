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
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

const (
	// exchangeTimeout bounds one exchange with a provider.
	exchangeTimeout = 30 * time.Second

	// fenceTimeout is how long after a claim was sent its token may still be
	// sent: far less than rotation.HolderTimeout, so that a process that was
	// frozen in between does not send what another has taken over.
	fenceTimeout = 10 * time.Second

	// claimTimeout is how long after a claim was sent its exchange must have
	// ended: less than rotation.HolderTimeout too, so that a process which was
	// frozen after the fence finds no time left to send.
	claimTimeout = fenceTimeout + exchangeTimeout

	// contendedPause is how long a credential waits for another that has claimed
	// the same token.
	contendedPause = 2 * time.Second

	// SlotPause is how long a credential waits for a slot at its provider's host at
	// most: it is woken as soon as there is one.
	SlotPause = 30 * time.Second
)

// Refresher refreshes tokens. Safe for concurrent use, for one credential at a
// time.
type Refresher struct {
	Inputs *inputs.Gatherer
	States *rotation.Store
	Egress egress.Caller
	// Courier says what became of exchanges that went by Egress; nil: nobody knows.
	Courier courier.Courier
	Rates   *pace.Rates
	Hosts   *pace.Hosts
	Metrics Metrics
	Clock   clock.PassiveClock
	// Holder names this process in the claims it makes.
	Holder string
	// Spool outlives this process; nil: there is none.
	Spool *spool.Spool
	// Horizon is how far the cluster has come; nil: that is not watched.
	Horizon *horizon.Horizon
	// InFlight counts the exchanges and commits in flight: whoever ends the process
	// waits for it first.
	InFlight *sync.WaitGroup
	// Go runs what outlives a refresh; nil: on a goroutine.
	Go func(ctx context.Context, run func(context.Context))
	// Wake asks for a credential's next reconcile; nil: nobody does.
	Wake func(types.NamespacedName)
	// Lost hears of a rotated token that was given up with its credential, which was
	// deleted; nil: nobody does.
	Lost func(*v1alpha1.TokenCredential, *problem.Problem)

	attempts attempts
	hosts    hostsBySource
	prepared preparations
	unsaved  unsaved
}

// Metrics of what is sent and of what waits to be saved.
type Metrics interface {
	// Exchanged counts a request by the HTTP status of its reply, "none" where none
	// came.
	Exchanged(provider, code string, took time.Duration)
	// Refreshed counts an attempt by how it ended.
	Refreshed(provider, result string)
	// Unsaved counts rotated tokens that wait to be saved.
	Unsaved(change int)
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
	Record *rotation.Record
	// Called is true where the provider was asked, or its host is known not to
	// answer.
	Called bool
	// Answered is true where a refresh that was requested is answered without a call.
	Answered bool
	// Token is the new access token; zero: there is none.
	Token token.Token
	// RefreshTokenExpiresAt is as the reply says; zero: it does not.
	RefreshTokenExpiresAt time.Time
	// SeedAdopted is true where a new seed is in use now.
	SeedAdopted bool
	// LifetimeIgnored is true where the reply stated a lifetime that cannot be used.
	LifetimeIgnored bool
	// Remark says what was wrong with the reply that brought the token; empty: nothing.
	Remark string
}

// Pause asks for another reconcile without anything to report: another process is
// at work, or there is no room for the call.
type Pause struct {
	Until time.Time
	Why   string
}

// Error implements error.
func (p *Pause) Error() string { return p.Why }

// pause asks for the next reconcile at once.
func (r *Refresher) pause(why string) *Pause { return &Pause{Until: r.Clock.Now(), Why: why} }

// Found is a credential's state as a reconcile finds it.
type Found struct {
	Record *rotation.Record
	// Seed is what becomes of the user's refresh token.
	Seed rotation.SeedVerdict
	// Recovery is what becomes of an attempt that somebody left.
	Recovery rotation.Recovery
	// Moved is true where the refresh token belongs to another origin than the one that
	// would be asked now.
	Moved bool
	// Came is what the reply to an attempt of an earlier process brought, now that the
	// courier has handed it over; nil: nothing that can be published.
	Came *Result

	heard heard
}

// Recover reads the state, and saves what an earlier process left in the spool.
// A state that neither status nor cache shows is not looked for: should there be one, the
// claim, which makes it, meets it before anything is sent.
func (r *Refresher) Recover(ctx context.Context, credential *v1alpha1.TokenCredential) (*rotation.Record, error) {
	key := client.ObjectKeyFromObject(credential)
	if waiting := r.unsaved.of(key); waiting != nil {
		r.unsaved.resume(key)
		return nil, waiting
	}
	record, err := r.load(ctx, credential)
	if err != nil {
		return nil, loadProblem(err, credential)
	}
	wasPutBack := r.attempts.isPutBack(key, record) || r.Horizon.Precedes(record.ResourceVersion())
	if wasPutBack {
		record.MarkCopied()
	}
	record.Trust(credential.Annotations[v1alpha1.TrustRestoredAnnotation])
	if wasPutBack && record.Copied {
		return record, nil
	}
	if record, err = r.unspool(ctx, credential, record); err != nil {
		return nil, saveProblem(err, credential, false)
	}
	r.attempts.observe(key, record)
	return record, nil
}

func (r *Refresher) load(ctx context.Context, credential *v1alpha1.TokenCredential) (*rotation.Record, error) {
	mayBeUnseen := r.attempts.isUnheard(client.ObjectKeyFromObject(credential)) || !credential.DeletionTimestamp.IsZero()
	if credential.Status.StateSecret == nil && !mayBeUnseen {
		key := types.NamespacedName{Namespace: credential.Namespace, Name: credential.StateSecretName()}
		if version, err := r.Inputs.Secrets.Version(ctx, key); err == nil && version == inputs.Absent {
			return r.States.None(credential), nil
		}
	}
	return r.States.Load(ctx, credential)
}

// Judge says what becomes of the user's refresh token and of an attempt in the
// state, for a credential whose inputs are known.
func (r *Refresher) Judge(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *rotation.Record) (Found, error) {
	found := Found{Record: record, Recovery: rotation.Nothing}
	if in.SingleUse(record.State) {
		found.Record = withAdoptedSeed(record, r.adoptedSeeds(credential, in.Seed), in.Seed)
		var err error
		if found, err = r.resolve(ctx, Job{Credential: credential, Inputs: in, Found: found}); err != nil {
			return found, err
		}
	}
	found.Moved = found.Record.State.HasMoved(originOf(in, found.Record.State))
	switch found.Seed = found.Record.State.Judge(in.Seed); {
	case isWrittenBack(credential, in, found.Record):
		found.Seed = rotation.SeedUnchanged
	case found.Seed == rotation.SeedNew && found.Record.State.Spent.Contains(r.SeedDigest(credential, in.Seed.Digest())):
		found.Seed = rotation.SeedSpent
	}
	if found.Seed != rotation.SeedNew || in.SeedIsLive {
		return found, nil
	}
	// To a process whose cache lags, the seed before the one that another process
	// has just adopted looks new too.
	live, err := r.Inputs.LiveSeed(ctx, credential)
	if err != nil {
		return found, err
	}
	if !live.Equal(in.Seed) {
		return found, r.pause("the refresh token has been replaced meanwhile")
	}
	return found, nil
}

// isWrittenBack reports whether the live token of a copy is in the user's Secret because
// the operator writes it there: nobody states by it that the token was not spent since.
func isWrittenBack(credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *rotation.Record) bool {
	ref := credential.Spec.RefreshTokenSecretRef
	return record.Copied && ref != nil && ref.WriteBack && in.Seed.Equal(record.State.RefreshToken)
}

// adoptedSeeds names the seeds that are known to have been adopted: by the status, and,
// where etcd was put back to before that was written, by what this process has seen. The
// status has a keyed digest, which is that of the seed at hand or of one that cannot be
// told from it.
func (r *Refresher) adoptedSeeds(credential *v1alpha1.TokenCredential, seed secret.Text) rotation.Ledger {
	adopted := r.attempts.adoptedSeeds(client.ObjectKeyFromObject(credential))
	known := credential.Status.StateSecret
	switch {
	case known == nil:
		return adopted
	case r.States.Key.Is(known.Seed, seedScope(credential), seed.Digest()):
		return adopted.Add(seed.Digest())
	default:
		return adopted.Add(known.Seed)
	}
}

// SeedDigest keys the plain digest of a seed for a credential's status. The scope is of
// the name, so that it holds for a credential that is deleted and comes back.
func (r *Refresher) SeedDigest(credential *v1alpha1.TokenCredential, plain string) string {
	return r.States.Key.Keyed(seedScope(credential), plain)
}

func seedScope(credential *v1alpha1.TokenCredential) string {
	return "seed of " + credential.Namespace + "/" + credential.Name
}

// withAdoptedSeed keeps a state Secret that was deleted, or replaced by an older
// copy, from making a spent token look like a new one: it is remembered which seeds
// were adopted.
func withAdoptedSeed(record *rotation.Record, adopted rotation.Ledger, seed secret.Text) *rotation.Record {
	known, isKnown := *record, adopted.Contains(seed.Digest())
	switch {
	case !record.Exists():
		if isKnown {
			known.State = record.State.Adopt(seed)
		}
		for _, digest := range adopted { // a cache that lags may show any of them once more
			known.State.Spent = known.State.Spent.Add(digest)
		}
	case record.Copied && isKnown:
		known.State.Seed = seed.Digest()
	}
	return &known
}

// recoveryOf decides what becomes of an attempt in the state, as things are now.
func (r *Refresher) recoveryOf(credential *v1alpha1.TokenCredential, in *inputs.Inputs, state rotation.State, heard heard) rotation.Recovery {
	attempt := state.Attempt
	if attempt == nil {
		return rotation.Nothing
	}
	key := client.ObjectKeyFromObject(credential)
	policy := credential.Spec.OnUnknownOutcome
	if policy == "" {
		policy = in.Provider.Rotation.OnUnknownOutcome
	}
	return state.Recover(rotation.Observer{
		Now:         r.Clock.Now(),
		SeenSince:   r.attempts.seenSince(key, attempt, r.Clock.Now()),
		HolderGone:  heard.isFinal() || !heard.silent && (attempt.Holder == r.Holder || r.Spool.Predecessor(attempt.Holder, r.Holder)),
		NeverSent:   heard.fate == courier.NeverReceived || attempt.Holder == r.Holder && r.attempts.isUnsent(key, attempt.ID),
		UnderWay:    heard.fate == courier.UnderWay,
		ReuseWindow: in.Provider.Rotation.ReuseWindow,
		Policy:      policy,
	})
}

// Pending reports whether the state must be read before anything can be said of a
// credential: an attempt is open, or it is not known whether a claim was made.
func (r *Refresher) Pending(credential types.NamespacedName, stalled bool) bool {
	return r.attempts.isUnheard(credential) || r.attempts.isOpen(credential) && !stalled || r.attempts.isSilent(credential) || r.unsaved.of(credential) != nil
}

// Forget drops what is remembered of a credential that is gone.
func (r *Refresher) Forget(credential types.NamespacedName) {
	r.attempts.forget(credential)
	r.Rates.Forget(credential)
	r.unsaved.abandon(credential)
}

// HostOf is the host that a credential's provider is asked at; empty where it is
// not known yet.
func (r *Refresher) HostOf(credential *v1alpha1.TokenCredential) string {
	return r.hosts.of(inputs.SourceOf(credential.Spec.ProviderRef, credential.Spec.Parameters))
}
