// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// unsaved are the commits that the API server refuses, and which are tried again
// outside the workers, so that what cannot be saved for one credential holds up no
// other. Its zero value is ready to use.
type unsaved struct {
	mu      sync.Mutex
	waiting map[types.NamespacedName]*unsavedCommit
}

// unsavedCommit is one that waits.
type unsavedCommit struct {
	report    *problem.Problem
	abandoned bool // its credential is gone
}

// of a credential: what is to be reported of its commit that waits, or nil.
func (u *unsaved) of(credential types.NamespacedName) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if waiting, ok := u.waiting[credential]; ok {
		return waiting.report
	}
	return nil
}

func (u *unsaved) add(credential types.NamespacedName, report *problem.Problem) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting == nil {
		u.waiting = map[types.NamespacedName]*unsavedCommit{}
	}
	u.waiting[credential] = &unsavedCommit{report: report}
}

func (u *unsaved) remove(credential types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waiting, credential)
}

// abandon notes that a credential is gone: what the API server refuses to save for
// it is given up, and what it cannot answer for is not.
func (u *unsaved) abandon(credential types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if waiting, ok := u.waiting[credential]; ok {
		waiting.abandoned = true
	}
}

// resume takes that back where the credential has been made again.
func (u *unsaved) resume(credential types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if waiting, ok := u.waiting[credential]; ok {
		waiting.abandoned = false
	}
}

func (u *unsaved) isAbandoned(credential types.NamespacedName) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting, ok := u.waiting[credential]
	return ok && waiting.abandoned
}

// saveLater goes on with a commit outside the worker, and returns what is to be
// reported meanwhile. The process does not end before it is saved.
func (r *Refresher) saveLater(ctx context.Context, credential *v1alpha1.TokenCredential, record rotation.Record, change rotation.Change, refusal error) error {
	key := client.ObjectKeyFromObject(credential)
	report := problem.New(v1alpha1.PersistBlockedReason,
		"%s: what the provider sent is kept in the operator's memory and tried again; see whether %s, and do not restart the operator",
		problem.OneLine(refusal), whatForbids(credential))
	r.unsaved.add(key, report)
	r.Metrics.Unsaved(1)
	r.InFlight.Add(1)
	claim := record.State.Attempt
	r.run(ctx, func(ctx context.Context) {
		defer r.InFlight.Done()
		ctx, giveUp := context.WithCancel(ctx)
		defer giveUp()
		err := r.States.Commit(ctx, credential, &record, change, func(refusal error) {
			if r.unsaved.isAbandoned(key) && errors.Is(refusal, rotation.ErrBlocked) {
				giveUp()
			}
		})
		r.attempts.observe(key, &record)
		r.unsaved.remove(key)
		r.Metrics.Unsaved(-1)
		if err != nil {
			log.FromContext(ctx).Error(err, "what the provider sent could not be saved")
		} else {
			r.Spool.Drop(claim.ID)
		}
		if r.Wake != nil {
			r.Wake(key)
		}
	})
	return report
}

func (r *Refresher) run(ctx context.Context, what func(context.Context)) {
	if r.Go != nil {
		r.Go(ctx, what)
		return
	}
	go what(ctx)
}
