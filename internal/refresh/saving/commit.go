// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package saving

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// Commit makes a change of the state durable. Neither a shutdown nor a deadline
// cuts it off. Where the API server refuses it again and again, it goes on outside
// the worker, which returns with what is to be reported.
func (s *Saver) Commit(ctx context.Context, credential *v1alpha1.TokenCredential, record *store.Record, change rotation.Change) error {
	exchange := record.State.Spooled()
	err := s.commitOnce(ctx, credential, record, change)
	switch {
	case err == nil:
		s.Forget(exchange.Attempt)
	case errors.Is(err, store.ErrSuperseded), errors.Is(err, store.ErrGone):
		s.HandOver(exchange.Attempt) // nobody will ask for it: the attempt is in no state any more
	}
	return err
}

// refusalsInWorker is how many refusals of a commit hold up a worker: they take less
// than two seconds. What lasts longer waits outside.
const refusalsInWorker = 4

// attendedFor is how long a worker waits for a commit that the API server does not
// answer: as long as for one that it refuses, with room for a slow answer.
const attendedFor = 5 * time.Second

// commitOnce makes a change durable. While the process is ending, a worker has nothing else
// to do: it stays, and publishes what is saved at last.
func (s *Saver) commitOnce(ctx context.Context, credential *v1alpha1.TokenCredential, record *store.Record, change rotation.Change) error {
	ending, ctx := ctx, context.WithoutCancel(ctx)
	key := client.ObjectKeyFromObject(credential)
	defer func() { s.Attempts.Observe(key, record) }()
	attended, handOver := context.WithCancel(ctx)
	defer handOver()
	unanswered := time.AfterFunc(attendedFor, func() { //nolint:forbidigo // it frees a worker, and decides nothing
		if ending.Err() == nil {
			handOver()
		}
	})
	defer unanswered.Stop()
	began, refusals := *record, 0
	var last error
	err := s.States.Commit(attended, credential, record, change, func(refusal error) {
		if refusals++; refusals == 1 {
			log.FromContext(ctx).Error(refusal, "the state cannot be saved; it is kept in memory and tried again")
		}
		if last = refusal; refusals >= refusalsInWorker && ending.Err() == nil {
			handOver()
		}
	})
	if err == nil || attended.Err() == nil || !change.AtStake(began.State) {
		return err
	}
	if last == nil {
		last = store.ErrUnreachable // no answer came at all
	}
	return s.saveLater(ctx, credential, began, change, last)
}

// Unspool commits what an earlier process of this pod brought and did not come to
// save.
func (s *Saver) Unspool(ctx context.Context, credential *v1alpha1.TokenCredential, record *store.Record) (*store.Record, error) {
	exchange := record.State.Spooled()
	grant, found := s.Spool.Find(exchange.Attempt, exchange.Sent)
	if !found {
		return record, nil
	}
	saved := *record
	err := s.commitOnce(ctx, credential, &saved, func(stored rotation.State) (rotation.State, bool) {
		return stored.Commit(grant, exchange), stored.Accepts(exchange)
	})
	if err != nil {
		return record, err
	}
	log.FromContext(ctx).Info("a token that an earlier process had received is saved")
	s.Forget(exchange.Attempt)
	return &saved, nil
}
