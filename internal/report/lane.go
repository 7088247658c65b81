// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
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
	// Statuses is told of each status that was written; nil: nobody is.
	Statuses Statuses
	// TokensWait reports whether many credentials wait for a token. While they
	// do, statuses are written no faster than yieldingRate. nil: nobody waits.
	TokensWait func() bool
	// Wake is told of a credential whose status was written on top of another process's:
	// the next look at it was planned for another. nil: nobody is.
	Wake func(credential types.NamespacedName)

	book book
	door door
}

// Events records what happened to a credential. It does not wait, unless the process
// is ending: then until ctx ends at most.
type Events interface {
	Record(ctx context.Context, credential *v1alpha1.TokenCredential, event status.Event)
}

// Statuses is told of a status that was written, and of the one before. It does not wait.
type Statuses interface {
	Wrote(before *v1alpha1.TokenCredentialStatus, written *v1alpha1.TokenCredential)
}

// Current returns a credential with its latest status: as it is in the cache, or as
// this process has written it, or is about to. The cached object is not changed.
func (l *Lane) Current(cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
	latest, ok := l.book.current(cached)
	if !ok {
		return cached
	}
	current := *cached
	current.Status = latest
	return &current
}

// Seen forgets a status that was written once the cache shows it, or a later one.
func (l *Lane) Seen(cached *v1alpha1.TokenCredential) { l.book.current(cached) }

// IsAhead reports whether this process has a status of a credential that the cache does not
// show: it is to be written, or was just now.
func (l *Lane) IsAhead(key types.NamespacedName) bool { return l.book.of(key) != nil }

// Add takes a status that differs from the one before. Cached is the credential as
// it is in the cache: what the status was computed from, unless the lane knew better.
// Add does not wait, unless the process is ending.
func (l *Lane) Add(cached *v1alpha1.TokenCredential, update Update) {
	key := client.ObjectKeyFromObject(cached)
	l.book.add(key, cached, update)
	if l.door.enqueue(key, update.Urgent) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	l.writeLast(ctx, key)
}

// Forget drops what is known of a credential that is gone.
func (l *Lane) Forget(key types.NamespacedName) { l.book.forget(key) }

// Unwritten are the credentials whose status is not written yet.
func (l *Lane) Unwritten() []types.NamespacedName {
	return slices.Collect(maps.Keys(l.book.unwritten()))
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
	known := l.book.of(key)
	if known == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := known.take(ctx); err != nil { // whoever writes it goes on
		return err
	}
	defer known.leave()
	var err error
	var before *v1alpha1.TokenCredentialStatus // what is known to have been reported
	for range maxRebases {
		next, base := l.book.begin(key, known)
		if next == nil {
			return nil
		}
		if before == nil {
			before = &base.Status
		}
		var written *v1alpha1.TokenCredential
		written, err = patchStatus(ctx, l.Client, base, &next.status)
		switch {
		case err == nil:
			l.book.end(key, known, next, written.ResourceVersion)
			l.emit(ctx, next, before, written)
			if next.isRebased && l.Wake != nil {
				l.Wake(key)
			}
			return nil
		case apierrors.IsNotFound(err):
			l.book.drop(key, known)
			return nil
		}
		l.book.putBack(known)
		if apierrors.IsInvalid(err) {
			l.tellWithout(ctx, known, refusedFields(err))
		}
		if !apierrors.IsConflict(err) {
			return err
		}
		if err := l.rebase(ctx, key, known); err != nil {
			return err
		}
	}
	return err
}

// emit says what a status that was written calls for.
func (l *Lane) emit(ctx context.Context, next *pending, before *v1alpha1.TokenCredentialStatus, written *v1alpha1.TokenCredential) {
	written.Spec = next.credential.Spec
	for _, event := range next.events {
		l.Events.Record(ctx, next.credential, event)
	}
	if l.Statuses != nil {
		l.Statuses.Wrote(before, written)
	}
}

// tellWithout says what calls for a status that the API server does not take, and will not
// before somebody corrects the credential: nobody would learn of it otherwise.
func (l *Lane) tellWithout(ctx context.Context, known *entry, fields []string) {
	refused, isNew := l.book.refused(known, fields)
	if refused == nil {
		return
	}
	if isNew {
		l.Events.Record(ctx, refused.credential, status.NotStored(fields))
	}
	for _, event := range refused.events {
		l.Events.Record(ctx, refused.credential, event)
	}
}

// rebase looks at what another process has written.
func (l *Lane) rebase(ctx context.Context, key types.NamespacedName, known *entry) error {
	live := &v1alpha1.TokenCredential{}
	err := l.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) || err == nil && live.UID != known.uid {
		l.book.drop(key, known)
		return nil
	}
	if err != nil {
		return err
	}
	l.book.rebase(known, live)
	return nil
}
