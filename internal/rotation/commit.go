// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// commitBackoff paces the retries of a commit. It never gives up: Steps only
// bounds the doubling.
var commitBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 10 * time.Second}

// Change is a transition that a commit makes durable. It is called again whenever
// someone else has changed the Secret, and returns false where what is stored has
// moved on, so that the transition has no place any more (State.Accepts).
type Change func(stored State) (next State, ok bool)

// Commit makes a transition durable. While a claim stands, the token that was
// sent is spent and its successor is nowhere else, so the commit is tried until it
// succeeds or ctx ends, and refused is called with each failure; without a claim nothing
// is at stake and the first failure is returned.
//
// Someone else's change of the Secret is merged: the commit goes on from what is
// stored, as long as the change has a place in it (else ErrSuperseded). A state
// Secret that was deleted meanwhile is made again.
func (s *Store) Commit(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, change Change, refused func(error)) error {
	sent := record.State
	stale := false
	var refusal error
	try := func(ctx context.Context) (done bool, err error) {
		refusal = s.commitOnce(ctx, credential, record, sent, change, stale)
		stale = errors.Is(refusal, ErrConflict)
		if refusal == nil || errors.Is(refusal, ErrGone) || errors.Is(refusal, ErrSuperseded) {
			return true, nil
		}
		if !stale {
			refused(refusal)
		}
		return sent.Attempt == nil && !stale, nil
	}
	if err := cmp.Or(s.Backoff, &commitBackoff).DelayFunc().Until(ctx, true, true, try); err != nil {
		return errors.Join(refusal, err)
	}
	return refusal
}

// commitOnce tries a commit once, on what is stored now where the record is
// stale.
func (s *Store) commitOnce(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, sent State, change Change, stale bool) error {
	if stale {
		latest, err := s.Load(ctx, credential)
		if err != nil {
			return err
		}
		if !latest.Exists() {
			latest.State = sent
		}
		*record = *latest
	}
	next, ok := change(record.State)
	if !ok {
		return ErrSuperseded
	}
	return s.Save(ctx, record, next)
}
