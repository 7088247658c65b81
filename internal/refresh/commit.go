// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// save commits what a claimed exchange brought. Until that is done it is in the
// spool too.
func (x *renewal) save(ctx context.Context, outcome provider.Outcome) error {
	claim, sent := x.record.State.Attempt, x.record.State.RefreshToken
	if err := x.Spool.Put(claim, sent, x.grant(outcome)); err != nil {
		log.FromContext(ctx).Error(err, "the token that was received is in memory alone until it is saved")
	}
	exchange := rotation.Exchange{Attempt: claim.ID, Sent: sent, Origin: x.record.State.Origin}
	return x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return x.next(stored, outcome, exchange), stored.Accepts(exchange)
	})
}

// withdraw ends the claim after nothing was spent, and says why. It is as
// stubborn as a commit: a claim that stays would look like a token that was sent.
// Where it was to send a token again, the outcome of the first time stays unknown.
func (x *renewal) withdraw(ctx context.Context, why error) error {
	return x.end(ctx, func(state rotation.State, attempt string) rotation.State {
		return state.Withdraw(attempt, x.doubtful)
	}, why)
}

// withdrawUnsent is the same where nothing was sent. A token that never was belongs to no
// origin yet, so that it follows a corrected URL.
func (x *renewal) withdrawUnsent(ctx context.Context, why error) error {
	return x.end(ctx, func(state rotation.State, attempt string) rotation.State {
		if x.unbound {
			state = state.Release()
		}
		return state.Withdraw(attempt, x.doubtful)
	}, why)
}

// end ends the claim without a successor of its token, and says why, also where that
// cannot be saved: a token that was refused is not sent again. Where another process
// has taken the claim over, how this one fared does not matter any more.
func (x *renewal) end(ctx context.Context, transition func(state rotation.State, attempt string) rotation.State, why error) error {
	own := x.record.State.Attempt.ID
	err := x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return transition(stored, own), stored.Attempt != nil && stored.Attempt.ID == own
	})
	switch {
	case errors.Is(err, rotation.ErrSuperseded):
		return &Pause{Until: x.Clock.Now(), Why: "another process has taken the claim over"}
	case err != nil:
		return withUnsaved(why, x.notSaved(err))
	}
	return why
}

// withUnsaved adds to an outcome that it could not be saved. What is no outcome gives
// way to that.
func withUnsaved(outcome, unsaved error) error {
	answered, blocked := problem.Of(outcome), problem.Of(unsaved)
	if answered == nil || blocked == nil {
		return unsaved
	}
	return extended(answered, "; and "+blocked.Message)
}

// commit makes a change of the state durable. Neither a shutdown nor a deadline
// cuts it off. Where the API server refuses it again and again, it goes on outside
// the worker, which returns with what is to be reported.
func (x *renewal) commit(ctx context.Context, change rotation.Change) error {
	claim := x.record.State.Attempt
	err := x.Refresher.commit(ctx, x.job.Credential, x.record, change)
	if err == nil && claim != nil {
		x.Spool.Drop(claim.ID)
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
	refusals := 0
	var last error
	err := r.States.Commit(attended, credential, record, change, func(refusal error) {
		if refusals++; refusals == 1 {
			log.FromContext(ctx).Error(refusal, "the state cannot be saved; it is kept in memory and tried again")
		}
		if last = refusal; refusals >= refusalsInWorker && ending.Err() == nil {
			handOver()
		}
	})
	if err == nil || attended.Err() == nil || record.State.Attempt == nil {
		return err
	}
	if last == nil {
		last = rotation.ErrUnreachable // no answer came at all
	}
	return r.saveLater(ctx, credential, *record, change, last)
}

// unspool commits what an earlier process of this pod brought and did not come to
// save.
func (r *Refresher) unspool(ctx context.Context, credential *v1alpha1.TokenCredential, record *rotation.Record) (*rotation.Record, error) {
	attempt, sent := record.State.Attempt, record.State.Sent()
	grant, found := r.Spool.Find(attempt, sent)
	if !found {
		return record, nil
	}
	saved, exchange := *record, rotation.Exchange{Attempt: attempt.ID, Sent: sent}
	err := r.commit(ctx, credential, &saved, func(stored rotation.State) (rotation.State, bool) {
		return stored.Commit(grant, exchange), stored.Accepts(exchange)
	})
	if err != nil {
		return record, err
	}
	log.FromContext(ctx).Info("a token that an earlier process had received is saved")
	r.Spool.Drop(attempt.ID)
	return &saved, nil
}

// conflictPause is how long a credential waits after another process has changed its
// state: that one is at work on it.
const conflictPause = time.Second

// notSaved turns a failure to save the state into what is to be reported.
func (x *renewal) notSaved(err error) error {
	switch {
	case errors.Is(err, rotation.ErrConflict), errors.Is(err, rotation.ErrSuperseded), errors.Is(err, rotation.ErrGone):
		return &Pause{Until: x.Clock.Now().Add(conflictPause), Why: problem.OneLine(err)}
	case errors.Is(err, context.Canceled):
		return &Pause{Until: x.Clock.Now(), Why: "the process is ending"}
	}
	return saveProblem(err, x.job.Credential, x.result.Called)
}

// saveProblem says what stands in the way of saving a state.
func saveProblem(err error, credential *v1alpha1.TokenCredential, called bool) error {
	if problem.Of(err) != nil {
		return err
	}
	if isTransient(err) {
		return transient(err)
	}
	consequence := "so the provider is not asked"
	if called {
		consequence = "so the provider is asked again"
	}
	return problem.New(v1alpha1.PersistBlockedReason, "%s, %s: see whether %s", problem.OneLine(err), consequence, whatForbids(credential))
}

// isTransient reports whether the API server could not serve a request, as against
// refusing it.
func isTransient(err error) bool {
	return errors.Is(err, rotation.ErrUnreachable) || errors.Is(err, rotation.ErrUnavailable)
}

func transient(err error) *problem.Problem {
	p := problem.New(v1alpha1.PersistBlockedReason, "%s: it is tried again", problem.OneLine(err))
	p.Transient = true
	return p
}

// whatForbids names what a person can look at where the state cannot be written.
func whatForbids(credential *v1alpha1.TokenCredential) string {
	return fmt.Sprintf("a quota, a policy, an admission webhook or its immutability forbids to change the Secret %q", credential.StateSecretName())
}
