// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// commit makes a change of the state durable. Neither a shutdown nor a deadline
// cuts it off. Where the API server refuses it again and again, it goes on outside
// the worker, which returns with what is to be reported.
func (x *renewal) commit(ctx context.Context, change rotation.Change) error {
	exchange := x.record.State.Spooled()
	err := x.r.commit(ctx, x.job.Credential, x.record, change)
	switch {
	case err == nil:
		x.r.forgetReply(exchange.Attempt)
	case errors.Is(err, rotation.ErrSuperseded), errors.Is(err, rotation.ErrGone):
		x.r.handOver(exchange.Attempt) // nobody will ask for it: the attempt is in no state any more
	}
	return err
}

// refusalsInWorker is how many refusals of a commit hold up a worker: they take less
// than two seconds. What lasts longer waits outside.
const refusalsInWorker = 4

// attendedFor is how long a worker waits for a commit that the API server does not
// answer: as long as for one that it refuses, with room for a slow answer.
const attendedFor = 5 * time.Second

// commit makes a change durable. While the process is ending, a worker has nothing else
// to do: it stays, and publishes what is saved at last.
func (r *Refresher) commit(ctx context.Context, credential *v1alpha1.TokenCredential, record *rotation.Record, change rotation.Change) error {
	ending, ctx := ctx, context.WithoutCancel(ctx)
	key := client.ObjectKeyFromObject(credential)
	defer func() { r.attempts.observe(key, record) }()
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
	err := r.States.Commit(attended, credential, record, change, func(refusal error) {
		if refusals++; refusals == 1 {
			log.FromContext(ctx).Error(refusal, "the state cannot be saved; it is kept in memory and tried again")
		}
		if last = refusal; refusals >= refusalsInWorker && ending.Err() == nil {
			handOver()
		}
	})
	if err == nil || attended.Err() == nil || !began.State.AtStake(change) {
		return err
	}
	if last == nil {
		last = rotation.ErrUnreachable // no answer came at all
	}
	return r.saveLater(ctx, credential, began, change, last)
}

// unspool commits what an earlier process of this pod brought and did not come to
// save.
func (r *Refresher) unspool(ctx context.Context, credential *v1alpha1.TokenCredential, record *rotation.Record) (*rotation.Record, error) {
	exchange := record.State.Spooled()
	grant, found := r.Spool.Find(exchange.Attempt, exchange.Sent)
	if !found {
		return record, nil
	}
	saved := *record
	err := r.commit(ctx, credential, &saved, func(stored rotation.State) (rotation.State, bool) {
		return stored.Commit(grant, exchange), stored.Accepts(exchange)
	})
	if err != nil {
		return record, err
	}
	log.FromContext(ctx).Info("a token that an earlier process had received is saved")
	r.forgetReply(exchange.Attempt)
	return &saved, nil
}

// conflictPause is how long a credential waits after another process has changed its
// state: that one is at work on it.
const conflictPause = time.Second

// notSaved turns a failure to save the state into what is to be reported.
func (x *renewal) notSaved(err error) error {
	switch {
	case errors.Is(err, rotation.ErrConflict), errors.Is(err, rotation.ErrSuperseded), errors.Is(err, rotation.ErrGone):
		return &Pause{Until: x.r.Clock.Now().Add(conflictPause), Why: problem.OneLine(err)}
	case errors.Is(err, context.Canceled):
		return x.r.pause("the process is ending")
	}
	return saveProblem(err, x.job.Credential, x.result.Called)
}
