// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Judge says what becomes of the user's refresh token and of an attempt in the
// state, for a credential whose inputs are known.
func (r *Refresher) Judge(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *store.Record) (Found, error) {
	found := Found{Record: record, Recovery: recovery.Nothing}
	if in.SingleUse(record.State) {
		found.Record = withAdoptedSeed(record, r.adoptedSeeds(credential, in.Seed), in.Seed)
		found.Record = r.withSeedOfBefore(credential, in, found.Record)
		var err error
		if found, err = r.resolve(ctx, Job{Credential: credential, Inputs: in, Found: found}); err != nil {
			return found, err
		}
	}
	if last := credential.Status.LastAttempt; last != nil {
		live := found.Record.State.RefreshToken.Digest()
		found.Replaced = r.Saver.States.IsOtherToken(credential, last.RefusedToken, live)
		found.Refused = last.RefusedToken != "" && !found.Record.State.IsRefused() && r.Saver.States.IsToken(credential, last.RefusedToken, live)
	}
	found.Moved = found.Record.State.HasMoved(route.OriginOf(in, found.Record.State))
	switch found.Seed = found.Record.State.Judge(in.Seed); {
	case isWrittenBack(credential, in, found.Record):
		found.Seed = rotation.SeedUnchanged
	case found.Seed == rotation.SeedNew && in.SingleUse(found.Record.State) && found.Record.Copied && r.Horizon.Precedes(in.SeedVersion):
		found.Seed = rotation.SeedUnchanged // it was put back with the state, which may have adopted it before
	case found.Seed == rotation.SeedNew && found.Record.State.Spent.Contains(r.Saver.States.TokenDigest(credential, in.Seed.Digest())):
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
func isWrittenBack(credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *store.Record) bool {
	ref := credential.Spec.RefreshTokenSecretRef
	return record.Copied && ref != nil && ref.WriteBack && in.Seed.Equal(record.State.RefreshToken)
}

// adoptedSeeds names the seeds that are known to have been adopted: by the status, and,
// where etcd was put back to before that was written, by what this process has seen. The
// status has a keyed digest, which is that of the seed at hand or of one that cannot be
// told from it.
func (r *Refresher) adoptedSeeds(credential *v1alpha1.TokenCredential, seed secret.Text) rotation.Ledger {
	adopted := r.Saver.Attempts.AdoptedSeeds(client.ObjectKeyFromObject(credential))
	known := credential.Status.StateSecret
	switch {
	case known == nil:
		return adopted
	case r.Saver.States.IsToken(credential, known.Seed, seed.Digest()):
		return adopted.Add(seed.Digest())
	default:
		return adopted.Add(known.Seed)
	}
}

// withAdoptedSeed keeps a state Secret that was deleted, or replaced by an older
// copy, from making a spent token look like a new one: it is remembered which seeds
// were adopted.
func withAdoptedSeed(record *store.Record, adopted rotation.Ledger, seed secret.Text) *store.Record {
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

// withSeedOfBefore has a credential without a state count as restored where its seed stands
// there from before the cluster went back: there may have been a state since, in which the
// seed was sent.
func (r *Refresher) withSeedOfBefore(credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *store.Record) *store.Record {
	if record.Exists() || in.Seed.IsZero() || !record.State.RefreshToken.IsZero() || !r.Horizon.Precedes(in.SeedVersion) {
		return record
	}
	known := *record
	known.State = record.State.Adopt(in.Seed)
	known.MarkCopied()
	known.Trust(credential.Annotations[v1alpha1.TrustRestoredAnnotation])
	return &known
}

// recoveryOf decides what becomes of an attempt in the state, as things are now.
func (r *Refresher) recoveryOf(credential *v1alpha1.TokenCredential, in *inputs.Inputs, state rotation.State, heard heard) recovery.Verdict {
	attempt := state.Attempt
	if attempt == nil {
		return recovery.Nothing
	}
	key := client.ObjectKeyFromObject(credential)
	policy := credential.Spec.OnUnknownOutcome
	if policy == "" {
		policy = in.Provider.Rotation.OnUnknownOutcome
	}
	return recovery.Observer{
		Now:         r.Clock.Now(),
		SeenSince:   r.Saver.Attempts.SeenSince(key, attempt, r.Clock.Now()),
		HolderGone:  heard.isFinal() || !heard.silent && (attempt.Holder == r.Holder || r.Saver.Spool.Predecessor(attempt.Holder, r.Holder)),
		NeverSent:   heard.fate == courier.NeverReceived || attempt.Holder == r.Holder && r.Saver.Attempts.IsUnsent(key, attempt.ID),
		UnderWay:    heard.fate == courier.UnderWay,
		ReuseWindow: in.Provider.Rotation.ReuseWindow,
		Policy:      policy,
	}.Decide(state)
}
