// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package saving

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

const (
	// MaxUnsaved and maxUnsavedBytes are how much may wait to be saved for a namespace
	// before it starts no further exchange of a token that works once: what waits is in
	// memory, which all share, and is lost with the process. Sixteen are enough for a
	// person to see that something is wrong, and a MiB for the largest of states. What is
	// in flight by then comes on top, for which a namespace has half of the workers.
	MaxUnsaved      = 16
	maxUnsavedBytes = 1 << 20
)

// Unsaved are the commits that the API server refuses, and which are tried again
// outside the workers, so that what cannot be saved for one credential holds up no
// other. Its zero value is ready to use.
type Unsaved struct {
	mu       sync.Mutex
	waiting  map[types.NamespacedName]*unsavedCommit
	backlogs map[string]*share // by namespace
}

// unsavedCommit is one that waits.
type unsavedCommit struct {
	report    *problem.Problem
	size      int  // bytes
	abandoned bool // its credential is gone
}

// share is what waits for a namespace.
type share struct {
	commits, bytes int
	// heldUp credentials make no exchange until less waits.
	heldUp map[types.NamespacedName]bool
}

func (b *share) isFull() bool { return b.commits >= MaxUnsaved || b.bytes >= maxUnsavedBytes }

// of a credential: what is to be reported of its commit that waits, or nil.
func (u *Unsaved) of(credential types.NamespacedName) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if waiting, ok := u.waiting[credential]; ok {
		return waiting.report
	}
	return nil
}

// Add has a commit of so many bytes wait, and what is to be reported of it meanwhile.
func (u *Unsaved) Add(credential types.NamespacedName, report *problem.Problem, size int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting == nil {
		u.waiting, u.backlogs = map[types.NamespacedName]*unsavedCommit{}, map[string]*share{}
	}
	u.waiting[credential] = &unsavedCommit{report: report, size: size}
	of := u.backlogs[credential.Namespace]
	if of == nil {
		of = &share{heldUp: map[types.NamespacedName]bool{}}
		u.backlogs[credential.Namespace] = of
	}
	of.commits, of.bytes = of.commits+1, of.bytes+size
}

// remove ends a wait, and returns whom that was in the way of.
func (u *Unsaved) remove(credential types.NamespacedName) (heldUp []types.NamespacedName) {
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
func (u *Unsaved) holdsUp(credential types.NamespacedName) int {
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
func (u *Unsaved) abandon(credential types.NamespacedName) {
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
func (u *Unsaved) resume(credential types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if waiting, ok := u.waiting[credential]; ok {
		waiting.abandoned = false
	}
}

func (u *Unsaved) isAbandoned(credential types.NamespacedName) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting, ok := u.waiting[credential]
	return ok && waiting.abandoned
}
