// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory is what one process remembers of the states that it has read and written:
// it is lost with the process, and then the worse is taken for true.
package memory

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// Attempts remembers, of the attempts in the states, which are open (in flight, or
// of unknown outcome), which of its own this process knows that it never sent the
// token of, and since when it has seen those of others, on its own clock: theirs may
// differ. Its zero value is ready to use.
type Attempts struct {
	// Contention is which credentials met another's claim on their token.
	Contention Contention

	mu           sync.Mutex
	byCredential map[types.NamespacedName]*knownAttempts
	// seen is how far each state had come when this process last read or wrote it.
	seen map[types.NamespacedName]store.Seen
	// adopted names the seeds that this process has seen in each state.
	adopted map[types.NamespacedName]rotation.Ledger
}

// knownAttempts of a credential, until its state has none.
type knownAttempts struct {
	open bool
	// unheard is true after a claim of which this process does not know whether it
	// was saved.
	unheard bool
	// silent is true where the attempt's courier did not answer when it was last asked.
	silent bool
	since  map[string]time.Time // by the attempt's ID
	unsent map[string]bool      // by the attempt's ID
}

func (a *Attempts) of(credential types.NamespacedName) *knownAttempts {
	known, ok := a.byCredential[credential]
	if !ok {
		if a.byCredential == nil {
			a.byCredential = map[types.NamespacedName]*knownAttempts{}
		}
		known = &knownAttempts{since: map[string]time.Time{}, unsent: map[string]bool{}}
		a.byCredential[credential] = known
	}
	return known
}

// Observe notes how far a credential's state has come, and whether an attempt is in it.
func (a *Attempts) Observe(credential types.NamespacedName, record *store.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if record.Exists() {
		if a.seen == nil {
			a.seen, a.adopted = map[types.NamespacedName]store.Seen{}, map[types.NamespacedName]rotation.Ledger{}
		}
		a.seen[credential] = record.Seen()
		a.adopted[credential] = a.adopted[credential].Add(record.State.PreviousSeed).Add(record.State.Seed)
	}
	if record.State.Attempt == nil {
		delete(a.byCredential, credential)
		return
	}
	known := a.of(credential)
	known.open, known.unheard = true, false
}

// HasSeen reports whether this process has read or written a credential's state.
func (a *Attempts) HasSeen(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[credential].UID != ""
}

// IsPutBack reports whether a state is older than what this process has seen of it: etcd
// was restored, and its token may have been sent since.
func (a *Attempts) IsPutBack(credential types.NamespacedName, record *store.Record) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return record.IsBefore(a.seen[credential])
}

// AdoptedSeeds names the seeds that a state was seen to have adopted.
func (a *Attempts) AdoptedSeeds(credential types.NamespacedName) rotation.Ledger {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.adopted[credential]
}

// Miss notes that a claim failed, or seemed to: it may have been saved all the same,
// and its token was not sent.
func (a *Attempts) Miss(credential types.NamespacedName, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.of(credential)
	known.unheard, known.unsent[id] = true, true
}

// IsUnheard reports whether the state must be read to know if a claim was saved.
func (a *Attempts) IsUnheard(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.unheard
}

// IsOpen reports whether an attempt is open in a credential's state.
func (a *Attempts) IsOpen(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.open
}

// Hear notes whether the courier answered what became of an attempt.
func (a *Attempts) Hear(credential types.NamespacedName, silent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(credential).silent = silent
}

// IsSilent reports whether an attempt's courier is still to say what became of it.
func (a *Attempts) IsSilent(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.silent
}

// IsUnsent reports whether this process knows that it never sent the token of an
// attempt. Of what it does not know it takes the worse for true: a person may have
// restored an older state, with an attempt that ended long ago.
func (a *Attempts) IsUnsent(credential types.NamespacedName, id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.unsent[id]
}

// SeenSince is when this process first saw an attempt.
func (a *Attempts) SeenSince(credential types.NamespacedName, attempt *rotation.Attempt, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := a.of(credential).since
	if _, ok := since[attempt.ID]; !ok {
		since[attempt.ID] = now
	}
	return since[attempt.ID]
}

// Forget drops what is remembered of a credential that is gone.
func (a *Attempts) Forget(credential types.NamespacedName) {
	a.Contention.End(credential)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byCredential, credential)
	delete(a.seen, credential)
	delete(a.adopted, credential)
}
