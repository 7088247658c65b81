// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"strings"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// book has what is known of the statuses beyond the cache: what is to be written, and
// what was written until the cache shows it. Its zero value is empty. Safe for concurrent
// use; entries are read and changed in its methods alone.
type book struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
}

// entry is what is known of a credential's status.
type entry struct {
	uid types.UID
	// stored is the status that the API server has, as far as is known, and version
	// the credential's resourceVersion with it.
	stored  v1alpha1.TokenCredentialStatus
	version string
	// cached is the newest resourceVersion that the cache has shown.
	cached string
	// inFlight is being written; unwritten comes after it. nil: nothing is.
	inFlight, unwritten *pending
	// refusal says for which fields the API server did not take the status last; empty: it
	// was not refused.
	refusal string
	// writing holds a value while somebody writes.
	writing chan struct{}
}

// take waits until nobody writes the status, and has it written by the caller alone until
// leave is called. It fails with ctx.
func (e *entry) take(ctx context.Context) error {
	select {
	case e.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *entry) leave() { <-e.writing }

// latest is what is to be written last; nil: everything is written.
func (e *entry) latest() *pending {
	if e.unwritten != nil {
		return e.unwritten
	}
	return e.inFlight
}

// status is the latest, written or not.
func (e *entry) status() v1alpha1.TokenCredentialStatus {
	if latest := e.latest(); latest != nil {
		return latest.status
	}
	return e.stored
}

// isDone reports whether everything is written, and the cache shows it.
func (e *entry) isDone() bool { return e.latest() == nil && !isOlder(e.cached, e.version) }

// see notes the version that the cache shows.
func (e *entry) see(version string) {
	if !isOlder(version, e.cached) {
		e.cached = version
	}
}

// current is the latest status of a credential that is in the cache, where the book knows
// one.
func (b *book) current(cached *v1alpha1.TokenCredential) (latest v1alpha1.TokenCredentialStatus, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.observe(cached); known != nil {
		return known.status(), true
	}
	return v1alpha1.TokenCredentialStatus{}, false
}

// observe returns what is known of a credential beyond the cache, and forgets what the
// cache shows or what is of another credential of that name. The caller holds the lock.
func (b *book) observe(cached *v1alpha1.TokenCredential) *entry {
	key := client.ObjectKeyFromObject(cached)
	known, ok := b.entries[key]
	if !ok {
		return nil
	}
	known.see(cached.ResourceVersion)
	if known.uid != cached.UID || known.isDone() {
		delete(b.entries, key)
		return nil
	}
	return known
}

// add takes a status that is to be written. Where nothing is known of the credential, its
// status is what the update was computed for, not what the cache showed then: the book may
// have known better at the time, and have forgotten since. With the cache's, an outcome
// would be missing until the write meets its conflict, and be acted on again.
func (b *book) add(key types.NamespacedName, cached *v1alpha1.TokenCredential, update Update) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.entries[key]
	if !ok || known.uid != cached.UID {
		known = &entry{uid: cached.UID, stored: update.Credential.Status, version: cached.ResourceVersion, cached: cached.ResourceVersion, writing: make(chan struct{}, 1)}
		if b.entries == nil {
			b.entries = map[types.NamespacedName]*entry{}
		}
		b.entries[key] = known
	}
	next := pendingOf(update)
	if now := known.status(); !apiequality.Semantic.DeepEqual(now, update.Credential.Status) {
		next = next.rebased(now) // what another process wrote has come in while it was computed
	}
	known.unwritten = known.unwritten.then(next)
}

func (b *book) of(key types.NamespacedName) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[key]
}

// forget drops what is known of a credential that is gone.
func (b *book) forget(key types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, key)
}

// unwritten are the credentials whose status is not written yet, and whether it is
// urgent.
func (b *book) unwritten() map[types.NamespacedName]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[types.NamespacedName]bool{}
	for key, known := range b.entries {
		if latest := known.latest(); latest != nil {
			all[key] = latest.urgent
		}
	}
	return all
}

// begin takes what is to be written, and returns with it the credential as the API
// server is thought to have it.
func (b *book) begin(key types.NamespacedName, known *entry) (*pending, *v1alpha1.TokenCredential) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known.inFlight, known.unwritten = known.unwritten, nil
	if known.inFlight == nil {
		return nil, nil
	}
	base := &v1alpha1.TokenCredential{}
	base.Namespace, base.Name = key.Namespace, key.Name
	base.UID, base.ResourceVersion = known.uid, known.version
	known.stored.DeepCopyInto(&base.Status)
	return known.inFlight, base
}

// end notes what was written. The cache may show it already: it may be faster than the
// API server's reply.
func (b *book) end(key types.NamespacedName, known *entry, written *pending, version string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known.stored, known.version, known.inFlight, known.refusal = written.status, version, nil, ""
	if known.isDone() && b.entries[key] == known {
		delete(b.entries, key)
	}
}

// putBack takes back what was not written, before what has been added meanwhile.
func (b *book) putBack(known *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known.unwritten, known.inFlight = known.inFlight.then(known.unwritten), nil
}

// refused returns what the API server did not take, whose events are told without it: they
// are not told again. isNew is true where it was not refused for the same fields before.
// nil: somebody has dropped it.
func (b *book) refused(known *entry, fields []string) (refused *pending, isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused = known.unwritten; refused == nil {
		return nil, false
	}
	refusal := "for " + strings.Join(fields, ",")
	isNew, known.refusal = known.refusal != refusal, refusal
	silent := *refused
	silent.events = nil
	known.unwritten = &silent
	return refused, isNew
}

// rebase takes in what another process has written. Where that is not the status, the
// write is made on top of it; where it is, the status is computed anew.
func (b *book) rebase(known *entry, live *v1alpha1.TokenCredential) {
	b.mu.Lock()
	defer b.mu.Unlock()
	isTheirs := !apiequality.Semantic.DeepEqual(live.Status, known.stored)
	known.stored, known.version = live.Status, live.ResourceVersion
	if isTheirs {
		known.unwritten = known.unwritten.rebased(live.Status)
	}
}

// drop gives up what is known of a credential that is no more.
func (b *book) drop(key types.NamespacedName, known *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[key] == known {
		delete(b.entries, key)
	}
	known.inFlight, known.unwritten = nil, nil
}

// isOlder reports whether one version of an object came before another; not, where
// they cannot be compared.
func isOlder(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
