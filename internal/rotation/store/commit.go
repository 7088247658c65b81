// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// commitBackoff paces the retries of a commit. It never gives up: Steps only
// bounds the doubling.
var commitBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 10 * time.Second}

// Commit makes a transition durable. While a claim stands, the token that was sent
// is spent and its successor is nowhere else, and so it is where a proven token has got
// a successor (Change.AtStake): the commit is tried until it succeeds or ctx ends, and
// refused is called with each failure. Else the first failure is returned.
//
// Someone else's change of the Secret is merged: the commit goes on from what is
// stored, as long as the change has a place in it (else ErrSuperseded). A state
// Secret that was deleted meanwhile is made again. A write that was applied although
// its answer never came is recognized as one's own.
func (s *Store) Commit(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, change rotation.Change, refused func(error)) error {
	pending := &commit{store: s, credential: credential, record: record, change: change, sent: record.State}
	atStake := change.AtStake(record.State)
	var refusal error
	try := func(ctx context.Context) (done bool, err error) {
		refusal = pending.try(ctx)
		pending.stale = errors.Is(refusal, ErrConflict)
		if refusal == nil || errors.Is(refusal, ErrGone) || errors.Is(refusal, ErrSuperseded) || errors.Is(refusal, ErrForeignAttempt) {
			return true, nil
		}
		if !pending.stale {
			refused(refusal)
		}
		return !atStake && !pending.stale, nil
	}
	if err := cmp.Or(s.Backoff, &commitBackoff).DelayFunc().Until(ctx, true, true, try); err != nil {
		return errors.Join(refusal, err)
	}
	return refusal
}

// commit is a transition that is not durable yet.
type commit struct {
	store      *Store
	credential *v1alpha1.TokenCredential
	record     *Record
	change     rotation.Change
	sent       rotation.State // what was stored when the token was sent
	stale      bool           // the record is not what is stored now
	unanswered string         // the digest of a state that may have been written
}

// try saves the transition once, on what is stored now where the record is stale.
func (c *commit) try(ctx context.Context) error {
	if c.stale {
		latest, err := c.store.Load(ctx, c.credential)
		if err != nil {
			return err
		}
		if !latest.Exists() {
			latest.State = c.sent
		}
		*c.record = *latest
		if latest.Exists() && c.unanswered == sendDigest(latest.State) {
			return nil
		}
	}
	next, ok := c.change(c.record.State)
	if !ok {
		return ErrSuperseded
	}
	err := c.store.Save(ctx, c.record, next)
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnavailable) {
		c.unanswered = sendDigest(next)
	}
	return err
}
