// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

// Lane writes statuses. It holds at most one for each credential, the latest, and
// remembers one that was written until the cache shows it, so that a stale cache does
// not lead to a second call. Once everything is written and cached it holds nothing.
// Safe for concurrent use.
type Lane struct {
	// Client writes statuses; Live reads credentials from the API server.
	Client client.Client
	Live   client.Reader
	Events Events

	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	turns   *turns // nil until the lane runs
	ending  bool   // the process ends: nobody comes to what is added now
}

// Events records what happened to a credential. It does not wait, unless the process
// is ending: then until ctx ends at most.
type Events interface {
	Record(ctx context.Context, credential *v1alpha1.TokenCredential, event status.Event)
}

// entry is what the lane knows of a credential's status.
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
	// writing holds a value while somebody writes.
	writing chan struct{}
}

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

// Current returns a credential with its latest status: as it is in the cache, or as
// this process has written it, or is about to. The cached object is not changed.
func (l *Lane) Current(cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.observe(cached)
	if known == nil {
		return cached
	}
	current := *cached
	current.Status = known.status()
	return &current
}

// Seen forgets a status that was written once the cache shows it, or a later one.
func (l *Lane) Seen(cached *v1alpha1.TokenCredential) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observe(cached)
}

// observe returns what is known of a credential beyond the cache, and forgets what the
// cache shows or what is of another credential of that name. The caller holds the lock.
func (l *Lane) observe(cached *v1alpha1.TokenCredential) *entry {
	key := client.ObjectKeyFromObject(cached)
	known, ok := l.entries[key]
	if !ok {
		return nil
	}
	known.see(cached.ResourceVersion)
	if known.uid != cached.UID || known.isDone() {
		delete(l.entries, key)
		return nil
	}
	return known
}

// Add takes a status that differs from the one before. Cached is the credential as
// it is in the cache: what the status was computed from, unless the lane knew better.
// Add does not wait, unless the process is ending.
func (l *Lane) Add(cached *v1alpha1.TokenCredential, update Update) {
	key := client.ObjectKeyFromObject(cached)
	if l.add(key, cached, update) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	l.writeLast(ctx, key)
}

// add reports whether a writer will come to what was added.
func (l *Lane) add(key types.NamespacedName, cached *v1alpha1.TokenCredential, update Update) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.entries[key]
	if !ok || known.uid != cached.UID {
		known = &entry{uid: cached.UID, stored: cached.Status, version: cached.ResourceVersion, cached: cached.ResourceVersion, writing: make(chan struct{}, 1)}
		if l.entries == nil {
			l.entries = map[types.NamespacedName]*entry{}
		}
		l.entries[key] = known
	}
	next := pendingOf(update)
	if now := known.status(); !apiequality.Semantic.DeepEqual(now, update.Credential.Status) {
		next = next.rebased(now) // what another process wrote has come in while it was computed
	}
	known.unwritten = known.unwritten.then(next)
	l.enqueue(key, update.Urgent)
	return !l.ending
}

// Forget drops what is known of a credential that is gone.
func (l *Lane) Forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, key)
}

// Unwritten are the credentials whose status is not written yet.
func (l *Lane) Unwritten() []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []types.NamespacedName
	for key, known := range l.entries {
		if known.latest() != nil {
			all = append(all, key)
		}
	}
	return all
}

const (
	// maxRebases bounds how often one write starts anew since another process has
	// written the credential: after that it waits for its next turn.
	maxRebases = 4
	// writeTimeout bounds one write, so that none occupies a writer for good.
	writeTimeout = 30 * time.Second
)

// Write writes a credential's status now, if it is not written yet, and then emits
// its events. What could not be written stays, for the next turn.
func (l *Lane) Write(ctx context.Context, key types.NamespacedName) error {
	known := l.entry(key)
	if known == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	select {
	case known.writing <- struct{}{}:
		defer func() { <-known.writing }()
	case <-ctx.Done(): // whoever writes it goes on
		return ctx.Err()
	}
	var err error
	for range maxRebases {
		next, base := l.begin(key, known)
		if next == nil {
			return nil
		}
		written := base.DeepCopy()
		next.status.DeepCopyInto(&written.Status)
		err = nil
		if !apiequality.Semantic.DeepEqual(base.Status, written.Status) {
			err = l.Client.Status().Patch(ctx, written, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		}
		switch {
		case err == nil:
			l.end(key, known, next, written.ResourceVersion)
			for _, event := range next.events {
				l.Events.Record(ctx, next.credential, event)
			}
			return nil
		case apierrors.IsNotFound(err):
			l.drop(key, known)
			return nil
		}
		l.putBack(known)
		if !apierrors.IsConflict(err) {
			return err
		}
		if err := l.rebase(ctx, key, known); err != nil {
			return err
		}
	}
	return err
}

func (l *Lane) entry(key types.NamespacedName) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[key]
}

// begin takes what is to be written, and returns with it the credential as the API
// server is thought to have it.
func (l *Lane) begin(key types.NamespacedName, known *entry) (*pending, *v1alpha1.TokenCredential) {
	l.mu.Lock()
	defer l.mu.Unlock()
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
func (l *Lane) end(key types.NamespacedName, known *entry, written *pending, version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known.stored, known.version, known.inFlight = written.status, version, nil
	if known.isDone() && l.entries[key] == known {
		delete(l.entries, key)
	}
}

// putBack takes back what was not written, before what has been added meanwhile.
func (l *Lane) putBack(known *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known.unwritten, known.inFlight = known.inFlight.then(known.unwritten), nil
}

// rebase looks at what another process has written. Where that is not the status, the
// write is made on top of it; where it is, the status is computed anew.
func (l *Lane) rebase(ctx context.Context, key types.NamespacedName, known *entry) error {
	live := &v1alpha1.TokenCredential{}
	err := l.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) || err == nil && live.UID != known.uid {
		l.drop(key, known)
		return nil
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	isTheirs := !apiequality.Semantic.DeepEqual(live.Status, known.stored)
	known.stored, known.version = live.Status, live.ResourceVersion
	if isTheirs {
		known.unwritten = known.unwritten.rebased(live.Status)
	}
	return nil
}

func (l *Lane) drop(key types.NamespacedName, known *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[key] == known {
		delete(l.entries, key)
	}
	known.inFlight, known.unwritten = nil, nil
}

// isOlder reports whether one version of an object came before another; not, where
// they cannot be compared.
func isOlder(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
