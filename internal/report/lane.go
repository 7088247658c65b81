// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"strconv"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

// Lane writes statuses. It holds at most one for each credential, the latest, and
// remembers one that was written until the cache shows it, so that a cache which
// lags does not lead to a second call. Safe for concurrent use.
type Lane struct {
	// Client writes statuses; Live reads credentials from the API server.
	Client client.Client
	Live   client.Reader
	Events Events

	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	queue   queue // nil until the lane runs
}

// Events records what happened to a credential. It does not wait.
type Events interface {
	Record(credential *v1alpha1.TokenCredential, event status.Event)
}

// Update is a status to be written.
type Update struct {
	// Credential that the status was computed for. It is not changed.
	Credential *v1alpha1.TokenCredential
	Status     v1alpha1.TokenCredentialStatus
	Events     []status.Event
	// Urgent updates go ahead of the others.
	Urgent bool
	// Rebase computes the status anew on top of one that somebody else has written
	// meanwhile.
	Rebase func(theirs v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus
}

// entry is what the lane knows of a credential's status.
type entry struct {
	uid types.UID
	// stored is the status that the API server has, as far as is known, and version
	// the credential's resourceVersion with it.
	stored  v1alpha1.TokenCredentialStatus
	version string
	// unwritten is what is to be written; nil: nothing is.
	unwritten *Update
	// writing holds a value while somebody writes it.
	writing chan struct{}
}

// Current returns a credential with its latest status: as it is in the cache, or as
// this process has written it, or is about to. The cached object is not changed.
func (l *Lane) Current(cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := client.ObjectKeyFromObject(cached)
	known, ok := l.entries[key]
	if ok && known.uid != cached.UID {
		delete(l.entries, key)
		ok = false
	}
	if !ok {
		return cached
	}
	if known.unwritten == nil && !isOlder(cached.ResourceVersion, known.version) {
		delete(l.entries, key)
		return cached
	}
	current := *cached
	if known.unwritten != nil {
		current.Status = known.unwritten.Status
	} else {
		current.Status = known.stored
	}
	return &current
}

// Add takes a status that differs from the one before. Cached is the credential as
// it is in the cache: what the status was computed from, unless the lane knew better.
func (l *Lane) Add(cached *v1alpha1.TokenCredential, update Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := client.ObjectKeyFromObject(cached)
	known, ok := l.entries[key]
	if !ok || known.uid != cached.UID {
		known = &entry{uid: cached.UID, stored: cached.Status, version: cached.ResourceVersion, writing: make(chan struct{}, 1)}
		if l.entries == nil {
			l.entries = map[types.NamespacedName]*entry{}
		}
		l.entries[key] = known
	}
	if before := known.unwritten; before != nil {
		update.Events = append(before.Events[:len(before.Events):len(before.Events)], update.Events...)
		update.Urgent = update.Urgent || before.Urgent
	}
	known.unwritten = &update
	l.enqueue(key, update.Urgent)
}

// Seen forgets a status that was written once the cache shows it, or a later one.
func (l *Lane) Seen(cached *v1alpha1.TokenCredential) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := client.ObjectKeyFromObject(cached)
	known, ok := l.entries[key]
	if ok && (known.uid != cached.UID || known.unwritten == nil && !isOlder(cached.ResourceVersion, known.version)) {
		delete(l.entries, key)
	}
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
		if known.unwritten != nil {
			all = append(all, key)
		}
	}
	return all
}

// maxRebases bounds how often one write starts anew since somebody else has written
// the credential: after that it waits for its next turn.
const maxRebases = 4

// Write writes a credential's status now, if it is not written yet, and then emits
// its events.
func (l *Lane) Write(ctx context.Context, key types.NamespacedName) error {
	known := l.entry(key)
	if known == nil {
		return nil
	}
	select {
	case known.writing <- struct{}{}:
		defer func() { <-known.writing }()
	case <-ctx.Done(): // whoever writes it goes on
		return ctx.Err()
	}
	var err error
	for range maxRebases {
		update, base := l.begin(known)
		if update == nil {
			return nil
		}
		written := base.DeepCopy()
		update.Status.DeepCopyInto(&written.Status)
		if !apiequality.Semantic.DeepEqual(base.Status, written.Status) {
			err = l.Client.Status().Patch(ctx, written, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		}
		switch {
		case err == nil:
			l.end(known, update, written)
			return nil
		case apierrors.IsNotFound(err):
			l.drop(key, known)
			return nil
		case !apierrors.IsConflict(err):
			return err
		}
		if err := l.rebase(ctx, key, known, update, base); err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	return err
}

func (l *Lane) entry(key types.NamespacedName) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[key]
}

// begin returns what is to be written, and the credential as the API server is
// thought to have it.
func (l *Lane) begin(known *entry) (*Update, *v1alpha1.TokenCredential) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known.unwritten == nil {
		return nil, nil
	}
	base := &v1alpha1.TokenCredential{}
	base.Namespace, base.Name = known.unwritten.Credential.Namespace, known.unwritten.Credential.Name
	base.UID, base.ResourceVersion = known.uid, known.version
	known.stored.DeepCopyInto(&base.Status)
	return known.unwritten, base
}

// end notes what was written. If more has come meanwhile, it waits for its own turn.
func (l *Lane) end(known *entry, update *Update, written *v1alpha1.TokenCredential) {
	l.mu.Lock()
	known.stored, known.version = update.Status, written.ResourceVersion
	if known.unwritten == update {
		known.unwritten = nil
	} else {
		known.unwritten.Events = known.unwritten.Events[len(update.Events):]
	}
	l.mu.Unlock()
	for _, event := range update.Events {
		l.Events.Record(update.Credential, event)
	}
}

// rebase looks at what somebody else has written. Where that is not the status, the
// write is made on top of it; where it is, the status is computed anew.
func (l *Lane) rebase(ctx context.Context, key types.NamespacedName, known *entry, update *Update, base *v1alpha1.TokenCredential) error {
	live := &v1alpha1.TokenCredential{}
	err := l.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) || err == nil && live.UID != known.uid {
		l.drop(key, known)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known.stored, known.version = live.Status, live.ResourceVersion
	if apiequality.Semantic.DeepEqual(live.Status, base.Status) {
		return nil
	}
	update.Status = update.Rebase(live.Status)
	if latest := known.unwritten; latest != nil && latest != update {
		latest.Status = latest.Rebase(update.Status)
	}
	return nil
}

func (l *Lane) drop(key types.NamespacedName, known *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[key] == known {
		delete(l.entries, key)
	}
	known.unwritten = nil
}

// isOlder reports whether one version of an object came before another: the API
// server documents that versions of one object can be compared, and hands out
// integers.
func isOlder(version, than string) bool { return number(version) < number(than) }

func number(version string) uint64 {
	parsed, _ := strconv.ParseUint(version, 10, 64)
	return parsed
}
