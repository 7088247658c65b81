// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

const (
	// maxUnsaved and maxUnsavedBytes are how much may wait to be saved for a namespace
	// before it starts no further exchange of a token that works once: what waits is in
	// memory, which all share, and is lost with the process. Sixteen are enough for a
	// person to see that something is wrong, and a MiB for the largest of states. What is
	// in flight by then comes on top, for which a namespace has half of the workers.
	maxUnsaved      = 16
	maxUnsavedBytes = 1 << 20
)

// unsaved are the commits that the API server refuses, and which are tried again
// outside the workers, so that what cannot be saved for one credential holds up no
// other. Its zero value is ready to use.
type unsaved struct {
	mu       sync.Mutex
	waiting  map[types.NamespacedName]*unsavedCommit
	backlogs map[string]*backlog // by namespace
}

// unsavedCommit is one that waits.
type unsavedCommit struct {
	report    *problem.Problem
	size      int  // bytes
	abandoned bool // its credential is gone
}

// backlog is what waits for a namespace.
type backlog struct {
	commits, bytes int
	// heldUp credentials make no exchange until less waits.
	heldUp map[types.NamespacedName]bool
}

func (b *backlog) isFull() bool { return b.commits >= maxUnsaved || b.bytes >= maxUnsavedBytes }

// of a credential: what is to be reported of its commit that waits, or nil.
func (u *unsaved) of(credential types.NamespacedName) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if waiting, ok := u.waiting[credential]; ok {
		return waiting.report
	}
	return nil
}

func (u *unsaved) add(credential types.NamespacedName, report *problem.Problem, size int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting == nil {
		u.waiting, u.backlogs = map[types.NamespacedName]*unsavedCommit{}, map[string]*backlog{}
	}
	u.waiting[credential] = &unsavedCommit{report: report, size: size}
	of := u.backlogs[credential.Namespace]
	if of == nil {
		of = &backlog{heldUp: map[types.NamespacedName]bool{}}
		u.backlogs[credential.Namespace] = of
	}
	of.commits, of.bytes = of.commits+1, of.bytes+size
}

// remove ends a wait, and returns whom that was in the way of.
func (u *unsaved) remove(credential types.NamespacedName) (heldUp []types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.backlogs[credential.Namespace]
	of.commits, of.bytes = of.commits-1, of.bytes-u.waiting[credential].size
	delete(u.waiting, credential)
	if !of.isFull() {
		heldUp = slices.Collect(maps.Keys(of.heldUp))
		clear(of.heldUp)
	}
	if of.commits == 0 {
		delete(u.backlogs, credential.Namespace)
	}
	return heldUp
}

// holdsUp reports whether so much waits for a credential's namespace that it must not
// start an exchange whose outcome may have to wait too: how many commits, and zero where
// there is room.
func (u *unsaved) holdsUp(credential types.NamespacedName) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.backlogs[credential.Namespace]
	if of == nil || !of.isFull() {
		return 0
	}
	of.heldUp[credential] = true
	return of.commits
}

// abandon notes that a credential is gone: what the API server refuses to save for
// it is given up, and what it cannot answer for is not.
func (u *unsaved) abandon(credential types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if of := u.backlogs[credential.Namespace]; of != nil {
		delete(of.heldUp, credential)
	}
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

// backlogged says that so much of a credential's namespace waits to be saved that no
// more is risked; nil: there is room for whatever comes.
func (r *Refresher) backlogged(credential *v1alpha1.TokenCredential) error {
	const consequence = "so the provider is not asked: see whether a quota, a policy or an admission webhook forbids to change the state Secrets of the namespace"
	key := client.ObjectKeyFromObject(credential)
	if waiting := r.unsaved.holdsUp(key); waiting > 0 {
		return problem.New(v1alpha1.PersistBlockedReason,
			"the rotated refresh tokens of %d other credentials cannot be saved, as much as the operator keeps in memory for a namespace, %s", waiting, consequence)
	}
	if !r.Spool.HasRoom(key.Namespace) {
		return problem.New(v1alpha1.PersistBlockedReason,
			"the spool holds as much as it may for a namespace that is not saved yet, %s", consequence)
	}
	return nil
}

// saveLater goes on with a commit outside the worker, and returns what is to be
// reported meanwhile. The process does not end before it is saved, or given up.
func (r *Refresher) saveLater(ctx context.Context, credential *v1alpha1.TokenCredential, record rotation.Record, change rotation.Change, refusal error) error {
	key := client.ObjectKeyFromObject(credential)
	report := problem.New(v1alpha1.PersistBlockedReason,
		"%s: what the provider sent is kept in the operator's memory and tried again; see whether %s, and do not restart the operator",
		problem.OneLine(refusal), whatForbids(credential))
	next, _ := change(record.State)
	r.unsaved.add(key, report, next.Size())
	r.Metrics.Unsaved(1)
	r.InFlight.Add(1)
	spooled := record.State.Spooled()
	r.run(ctx, func(ctx context.Context) {
		defer r.InFlight.Done()
		ctx, giveUp := context.WithCancel(ctx)
		defer giveUp()
		err := r.States.Commit(ctx, credential, &record, change, func(last error) {
			if refusal = last; r.unsaved.isAbandoned(key) && errors.Is(refusal, rotation.ErrBlocked) {
				giveUp()
			}
		})
		r.attempts.observe(key, &record)
		heldUp := r.unsaved.remove(key)
		r.Metrics.Unsaved(-1)
		if err == nil || ctx.Err() != nil {
			r.forgetReply(spooled.Attempt)
		}
		if err != nil {
			log.FromContext(ctx).Error(err, "what the provider sent could not be saved")
		}
		if rotated := !next.RefreshToken.Equal(spooled.Sent); rotated && ctx.Err() != nil {
			r.tellLost(ctx, credential, refusal)
		}
		for _, waiter := range append(heldUp, key) {
			if r.Wake != nil {
				r.Wake(waiter)
			}
		}
	})
	return report
}

// tellLost tells of a rotated token that was given up with its credential: no status is
// there to say it.
func (r *Refresher) tellLost(ctx context.Context, credential *v1alpha1.TokenCredential, refusal error) {
	p := abandoned(credential, refusal)
	log.FromContext(ctx).Error(nil, p.Message)
	r.Metrics.Refreshed(credential.Spec.ProviderRef.Name, p.Reason)
	if r.Lost != nil {
		r.Lost(credential, p)
	}
}

func (r *Refresher) run(ctx context.Context, what func(context.Context)) {
	if r.Go != nil {
		r.Go(ctx, what)
		return
	}
	go what(ctx)
}
